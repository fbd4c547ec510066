"""What a piece of work belongs to (run, decision, market, trace), carried by contextvars and NATS headers.

One mapping is bound at a time; binding adds to what is bound outside. Names of
fields and of their headers stand here and nowhere else, so that a log line, a
message and an audit record join on the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

HEADER_RUN: Final = "Dora-Run"
HEADER_PRODUCER: Final = "Dora-Producer"
HEADER_SCHEMA: Final = "Dora-Schema"
HEADER_REVISION: Final = "Dora-Config-Revision"
HEADER_TRACE: Final = "traceparent"

HEADER_OF_FIELD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "decision_id": "Dora-Decision",
        "market": "Dora-Market",
        "order_id": "Dora-Order",
        "traceparent": HEADER_TRACE,
    }
)
"""The bound fields that travel; others stay in the process."""

_FIELD_OF_HEADER: Final = {header: field for field, header in HEADER_OF_FIELD.items()}
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_bound: ContextVar[Mapping[str, str]] = ContextVar("dora_bound", default=_NOTHING)


def bound_fields() -> Mapping[str, str]:
    """Return what is bound now."""
    return _bound.get()


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Bind fields for the block: log lines and messages inside carry them."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def travelling_headers() -> dict[str, str]:
    """Return the bound fields that travel, as headers in a fresh dictionary."""
    fields = _bound.get()
    if not fields:
        return {}
    return {header: fields[field] for field, header in HEADER_OF_FIELD.items() if field in fields}


def fields_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the bound fields that a received message carries."""
    return {_FIELD_OF_HEADER[name]: value for name, value in headers.items() if name in _FIELD_OF_HEADER}


@contextmanager
def received(headers: Mapping[str, str]) -> Iterator[None]:
    """Bind exactly what the message carries, for the time of its handling."""
    token = _bound.set(fields_of(headers) if headers else _NOTHING)
    try:
        yield
    finally:
        _bound.reset(token)


def bind_received(headers: Mapping[str, str]) -> None:
    """Bind what the message carries until the next call; for a task that handles one after the other."""
    fields = fields_of(headers) if headers else None
    if fields or _bound.get():
        _bound.set(fields or _NOTHING)
