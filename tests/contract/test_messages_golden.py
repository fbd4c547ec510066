"""What a message looks like on the wire does not change by accident.

One file a struct in ``golden/``: the exact bytes. A change of a file is a change
of the wire and needs both versions to work side by side. A new struct without a
file fails here; write it with ``python -m tests.contract.test_messages_golden``.
"""

from __future__ import annotations

import enum
import inspect
import json
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.messages import control, controls, execution, health, market, orders, risk, target
from libs.common.messages.base import MalformedMessage, Wire, WireDecoder, encode

GOLDEN = Path(__file__).parent / "golden"
MODULES = (control, controls, execution, health, market, orders, risk, target)
KINDS: dict[str, type[Wire]] = {
    name: kind
    for module in MODULES
    for name, kind in vars(module).items()
    if inspect.isclass(kind) and issubclass(kind, Wire) and kind is not Wire
}


def sample(kind: Any, name: str = "") -> Any:
    """Return a value of the type with everything in it, so that every field shows in the golden file."""
    if isinstance(kind, type) and issubclass(kind, Wire):
        fields = msgspec.structs.fields(kind)
        return kind(**{field.name: sample(field.type, field.name) for field in fields})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return sample(next(part for part in arguments if part is not type(None)), name)
    if origin is tuple:
        parts = (arguments[0],) if arguments[-1] is Ellipsis else arguments
        return tuple(sample(part, f"{name}_{place}") for place, part in enumerate(parts))
    if origin is dict:
        return {"one": sample(arguments[1], name)}
    if isinstance(kind, enum.EnumMeta):
        return next(iter(kind))  # an enum's first word
    number = sum(name.encode()) % 997
    samples: dict[Any, Any] = {int: number, float: number + 0.5, str: f"{name} ü", bool: number % 2 == 0}
    return samples[kind]


@pytest.mark.parametrize("name", sorted(KINDS))
class TestEach:
    def test_the_bytes_are_the_golden_ones(self, name: str) -> None:
        assert encode(sample(KINDS[name])) == golden(name)

    def test_the_golden_bytes_are_the_object(self, name: str) -> None:
        assert WireDecoder(KINDS[name]).decode(golden(name)) == sample(KINDS[name])

    def test_a_field_of_a_newer_producer_is_ignored(self, name: str) -> None:
        newer = {**json.loads(golden(name)), "of_tomorrow": {"x": [1, None]}}
        if KINDS[name].__struct_config__.forbid_unknown_fields:
            # A question whose limit is misspelt must not become one without that limit.
            with pytest.raises(MalformedMessage, match="of_tomorrow"):
                WireDecoder(KINDS[name]).decode(json.dumps(newer).encode())
            return
        assert WireDecoder(KINDS[name]).decode(json.dumps(newer).encode()) == sample(KINDS[name])

    def test_each_required_field_is_missed_by_its_name(self, name: str) -> None:
        whole = json.loads(golden(name))
        for field in msgspec.structs.fields(KINDS[name]):
            part = {key: value for key, value in whole.items() if key != field.encode_name}
            data = json.dumps(part).encode()
            if field.required:
                with pytest.raises(MalformedMessage, match=field.encode_name):
                    WireDecoder(KINDS[name]).decode(data)
            else:
                WireDecoder(KINDS[name]).decode(data)

    def test_a_field_of_another_type_is_refused(self, name: str) -> None:
        whole = json.loads(golden(name))
        for key in whole:
            with pytest.raises(MalformedMessage):
                WireDecoder(KINDS[name]).decode(json.dumps({**whole, key: {"un": ["ex", "pected"]}}).encode())

    def test_it_is_frozen(self, name: str) -> None:
        message = sample(KINDS[name])
        with pytest.raises(AttributeError):
            setattr(message, msgspec.structs.fields(KINDS[name])[0].name, 1)


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'"text"', b"NaN"])
def test_bytes_that_are_no_message_are_malformed_and_nothing_worse(data: bytes) -> None:
    for kind in KINDS.values():
        with pytest.raises(MalformedMessage):
            WireDecoder(kind).decode(data)


def test_no_golden_file_is_of_a_struct_that_is_gone() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(KINDS)


def test_equal_messages_have_equal_bytes_whatever_order_a_mapping_was_filled_in() -> None:
    status = sample(health.StatusV1)
    a = msgspec.structs.replace(status, counters={"a": 1, "b": 2})
    b = msgspec.structs.replace(status, counters={"b": 2, "a": 1})
    assert encode(a) == encode(b)


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes().rstrip(b"\n")


def write() -> None:
    """Write the files that are missing; existing ones are never changed."""
    GOLDEN.mkdir(exist_ok=True)
    for name, kind in KINDS.items():
        path = GOLDEN / f"{name}.json"
        if not path.exists():
            path.write_bytes(encode(sample(kind)) + b"\n")


if __name__ == "__main__":
    write()
