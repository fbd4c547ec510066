"""All 2^10 outcomes of a batch of ten creates, over real HTTP, end in the right state.

For each subset of items that the venue does not plainly accept, four rounds give each of
them another kind of trouble: refused, unknown, missing, foreign. So every kind occurs at every
index with every subset: 4 x 1,024 = 4,096 answers, read by the code that reads the venue's.
What was in doubt is then settled by reads: half of it had landed, half never arrived.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueOrder, VenueOrderStatus
from libs.common.kalshi.order_sender import NewOrder, OrderSender, Unsent
from libs.common.kalshi.presign import Presigner
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.messages.execution import OrderState
from libs.common.runtime.clock import SystemClock
from services.executor.core.account import Account, Now
from services.executor.core.gate import Gate, GateLimits
from services.executor.core.intake import Intake
from services.executor.core.journal import JournalWriter
from services.executor.core.orders import OwnOrder, OwnOrders
from services.executor.core.positions import Positions
from services.executor.core.risk_desk import RiskDesk
from tests.support.executor_builders import ACCOUNT, START_MS, START_NS, an_order
from tests.support.scripted_http import Seen, answer, scripted_http
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM

SIZE: Final = 10
KINDS: Final = ("refused", "unknown", "missing", "foreign")
LAG_NS: Final = 1_000_000_000
QTY_E2: Final = 500


@dataclass
class Round:
    """One batch: which items are in trouble, and with what."""

    subset: int
    turn: int
    account: Account = field(init=False)
    intake: Intake = field(init=False)
    orders: list[OwnOrder] = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account(
            name=ACCOUNT,
            run="r",
            gate=Gate(ACCOUNT, GateLimits()),
            journal=JournalWriter("sim", ACCOUNT, 1),
            orders=OwnOrders(),
            positions=Positions(ACCOUNT),
            desk=RiskDesk(),
        )
        self.intake = Intake(self.account, "sim", LAG_NS, 3, 3 * LAG_NS)
        self.orders = [
            an_order(
                client_order_id=f"dora-sim-1-1-{index}-00000000",
                market=f"M-{index}",
                order_id="",
                state=OrderState.INTENDED,
                asked_ns=START_NS,
            )
            for index in range(SIZE)
        ]
        for order in self.orders:
            self.account.orders.add(order)

    def kind(self, index: int) -> str:
        """Return what happens to an item."""
        return KINDS[(index + self.turn) % len(KINDS)] if self.subset >> index & 1 else "accepted"

    def has_landed(self, index: int) -> bool:
        """Return whether an item exists at the venue, whatever the answer said."""
        kind = self.kind(index)
        return kind == "accepted" or (kind != "refused" and (self.subset + index) % 2 == 0)

    def say(self, seen: Seen) -> bytes:
        """Answer as the venue would, items in an order of its own."""
        items = [
            item
            for index, asked in enumerate(seen.json["orders"])
            if (item := _item(self.kind(index), asked)) is not None
        ]
        return answer(201, {"orders": items[::-1] if self.subset % 2 else items})


def _item(kind: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    client = asked["client_order_id"]
    accepted = {
        "order_id": f"venue-{client}",
        "client_order_id": client,
        "fill_count": "0.00",
        "remaining_count": asked["count"],
        "ts_ms": START_MS,
    }
    match kind:
        case "accepted":
            return accepted
        case "refused":
            return {"client_order_id": client, "error": {"code": "invalid_order", "message": "invalid order"}}
        case "unknown":
            return {"client_order_id": client, "error": {"code": "exchange_unavailable", "message": "later"}}
        case "foreign":
            return accepted | {"client_order_id": f"of-somebody-{client}"}
    return None


def _told(order: OwnOrder, now: Now) -> VenueOrder:
    return VenueOrder(
        order_id=f"venue-{order.client_order_id}",
        client_order_id=order.client_order_id,
        market=order.market,
        shard=0,
        side=Side.BID,
        price_e4=order.price_e4,
        initial_e2=QTY_E2,
        filled_e2=0,
        remaining_e2=QTY_E2,
        status=VenueOrderStatus.RESTING,
        updated_ms=now.ms,
    )


async def _send(one: Round, sender: OrderSender, now: Now) -> None:
    new = [
        NewOrder(o.market, 0, o.client_order_id, o.side, o.price_e4, QTY_E2, order_group_id="g")
        for o in one.orders
    ]
    outcomes = await sender.create_batch(new)
    one.intake.on_sent([order.client_order_id for order in one.orders], now)
    for order, outcome in zip(one.orders, outcomes, strict=True):
        assert not isinstance(outcome, Unsent)
        one.intake.on_create_answer(order.client_order_id, outcome, now)


def _check_answered(one: Round) -> None:
    wanted = {"accepted": OrderState.RESTING, "refused": OrderState.REFUSED}
    for index, order in enumerate(one.orders):
        kind = one.kind(index)
        assert order.state is wanted.get(kind, OrderState.UNKNOWN), (one.subset, one.turn, index)
        assert order.open_e2 == (0 if kind == "refused" else QTY_E2), "what may rest is counted"
        assert one.account.orders.has_unknown(order.market) == (kind not in wanted)
    doubts = sum(one.kind(index) not in ("accepted", "refused") for index in range(SIZE))
    assert one.account.counters["unknown"] == doubts


def _settle(one: Round, now: Now) -> Now:
    for _ in range(4):
        now = Now(now.ns + 2 * LAG_NS, now.ms + 2_000)
        for index, order in enumerate(one.orders):
            if order.is_unknown and one.has_landed(index):
                one.intake.on_read_order(_told(order, now), now.ns, now)
            elif order.is_unknown:
                one.intake.on_absent(order, now.ns, now)
    return now


def _check_settled(one: Round) -> None:
    for index, order in enumerate(one.orders):
        landed = one.has_landed(index)
        assert order.state is (OrderState.RESTING if landed else OrderState.REFUSED)
        assert order.order_id == (f"venue-{order.client_order_id}" if landed else "")
        assert not one.account.orders.has_unknown(order.market)
    assert (one.account.counters["duplicates"], one.account.counters["orphans"]) == (0, 0)


async def test_every_outcome_of_a_batch_of_ten_ends_in_the_right_state() -> None:
    seen: Counter[tuple[str, int]] = Counter()
    now = Now(START_NS, START_MS)
    rounds = [Round(subset, turn) for subset in range(1 << SIZE) for turn in range(len(KINDS))]
    answered: list[int] = []

    def say(asked: Seen) -> bytes:
        return rounds[len(answered)].say(asked)

    async with scripted_http(say) as http:
        clock = SystemClock()
        transport = make_transport(http.url)
        signer = Presigner(Signer.from_pem("key", ED25519_PEM), clock)
        sender = OrderSender(http.url, transport, signer, clock)
        for number, one in enumerate(rounds):
            await _send(one, sender, now)
            answered.append(number)
            _check_answered(one)
            _settle(one, now)
            _check_settled(one)
            seen.update((one.kind(index), index) for index in range(SIZE))
        await transport.aclose()

    assert len(rounds) == 4_096
    subsets_with_one_index = 1 << (SIZE - 1)
    assert all(seen[kind, index] == subsets_with_one_index for kind in KINDS for index in range(SIZE))
