"""Every field of an answer dropped, retyped or added to after the venue accepted: no wrong conclusion (F3).

The order exists and is partly filled. Whatever was done to the answer, it is believed in
whole or not at all: accepted with the true counts, or unknown; never refused, never other counts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import Accepted, Unknown
from libs.common.kalshi.order_sender import NewOrder, OrderSender
from libs.common.kalshi.presign import Presigner
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import SystemClock
from tests.support.scripted_http import Seen, answer, scripted_http
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM

CLIENTS: Final = ("dora-sim-1-1-0-00000000", "dora-sim-1-1-1-00000000")
VALUES: Final[tuple[Any, ...]] = (
    None,
    "",
    "x",
    "-1.00",
    "NaN",
    "1e3",
    "2.00",
    0,
    7,
    -1,
    1.5,
    True,
    [],
    ["2.00"],
    {},
    {"a": 1},
)
_GONE: Final = object()


def item(client: str) -> dict[str, Any]:
    return {
        "order_id": f"venue-{client}",
        "client_order_id": client,
        "fill_count": "2.00",
        "remaining_count": "3.00",
        "average_fill_price": "0.4800",
        "average_fee_paid": "0.0100",
        "ts_ms": 1_700_000_000_000,
    }


def mutations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each mutated item with what was done to it."""
    for name in item(CLIENTS[0]):
        for value in (_GONE, *VALUES):
            changed = item(CLIENTS[0])
            if value is _GONE:
                del changed[name]
            else:
                changed[name] = value
            yield f"{name} {'gone' if value is _GONE else value!r}", changed
    for extra in VALUES:
        yield f"extra {extra!r}", item(CLIENTS[0]) | {"new_field": extra, "fill_count_fp": extra}


def shapes(changed: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the bodies of a batch of two that hold the mutated item."""
    other = item(CLIENTS[1])
    yield "batch", {"orders": [changed, other]}
    yield "reversed", {"orders": [other, changed]}
    yield "twice", {"orders": [changed, copy.deepcopy(changed), other]}
    yield "with more", {"orders": [changed, other], "cursor": "", "note": {"a": [1]}}


def new(client: str) -> NewOrder:
    return NewOrder("M-1", 0, client, Side.BID, 4_800, 500, order_group_id="g")


def check(what: str, outcome: object, client: str) -> None:
    if isinstance(outcome, Unknown):
        return
    assert isinstance(outcome, Accepted), (what, outcome)
    assert (outcome.filled_e2, outcome.remaining_e2) == (200, 300), (what, outcome)
    assert outcome.order_id, (what, outcome)
    assert outcome.client_order_id in ("", client), (what, outcome)


@pytest.mark.parametrize("is_batch", [False, True])
async def test_no_mutation_of_an_answer_leads_to_a_wrong_conclusion(*, is_batch: bool) -> None:
    said: list[bytes] = []
    cases = 0

    def say(_: Seen) -> bytes:
        return said[-1]

    async with scripted_http(say) as http:
        clock, transport = SystemClock(), make_transport(http.url)
        signer = Presigner(Signer.from_pem("key", ED25519_PEM), clock)
        sender = OrderSender(http.url, transport, signer, clock)
        for what, changed in mutations():
            if not is_batch:
                said.append(answer(201, changed))
                check(what, await sender.create(new(CLIENTS[0])), CLIENTS[0])
                cases += 1
                continue
            for shape, body in shapes(changed):
                said.append(answer(201, body))
                outcomes = await sender.create_batch([new(client) for client in CLIENTS])
                for client, outcome in zip(CLIENTS, outcomes, strict=True):
                    check(f"{what}, {shape}", outcome, client)
                cases += 1
        await transport.aclose()
    assert cases == (540 if is_batch else 135)
