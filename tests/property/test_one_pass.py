"""A whole pass against a venue that may do anything: one pass is enough, at no undue risk."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.side import Side
from libs.common.kalshi.model import Accepted, Refused, Unknown
from libs.common.messages.execution import Action
from libs.common.messages.target import QuoteV1
from services.executor.core.answers import Answer, NotSent
from services.executor.core.effects import Effect, SendBatch, SendCancels
from services.executor.core.orders import OwnOrder
from services.executor.core.planner import PlanRules, ReplaceWith
from services.executor.core.requests import AmendRequest, CancelRequest, CreateRequest
from tests.support.executor_builders import (
    LIMITS,
    MARKET,
    START_MS,
    Desk,
    a_desk,
    a_fill,
    a_top,
    accepted,
)

CAP_E2 = 1_500
TIGHT = msgspec.structs.replace(
    LIMITS, market_position_e2_max=CAP_E2, orders_same_price_max=1, price_collar_e4_max=9_000
)
FATES = ("accepted", "refused", "unknown", "unsent")

# Mostly as large as the cap allows: only there can fills in between make too much of it.
sizes = st.one_of(st.just(CAP_E2 // 2), st.integers(1, CAP_E2 // 2))
rules = st.builds(
    PlanRules,
    hysteresis_ticks=st.just(0),
    replace_with=st.sampled_from(ReplaceWith),
    batch_moves_min=st.sampled_from([0, 1, 3]),
)


@st.composite
def two_sided(draw: st.DrawFn, levels: int = 2) -> list[QuoteV1]:
    """Return quotes that do not meet, at most one at a price, each side within the cap."""
    middle = draw(st.integers(42, 58))
    quotes = []
    for side, ticks in ((Side.BID, range(40, middle)), (Side.ASK, range(middle, 61))):
        chosen = draw(st.lists(st.sampled_from(ticks), max_size=levels, unique=True))
        quotes += [QuoteV1(side=side, price_e4=tick * 100, qty_e2=draw(sizes)) for tick in chosen]
    return quotes


@dataclass
class Venue:
    """Keeps what rests, as the venue would, and decides the fate of every request as it is told."""

    desk: Desk
    rests: dict[str, tuple[Side, int, int]] = field(default_factory=dict)
    position_e2: int = 0
    trades: itertools.count[int] = field(default_factory=itertools.count)
    worst_e2: int = 0

    def look(self) -> None:
        """Check what would be after the worst fills, and that nothing of ours meets."""
        bids = [(price, qty) for side, price, qty in self.rests.values() if side is Side.BID]
        asks = [(price, qty) for side, price, qty in self.rests.values() if side is Side.ASK]
        high = self.position_e2 + sum(qty for _, qty in bids)
        low = self.position_e2 - sum(qty for _, qty in asks)
        self.worst_e2 = max(self.worst_e2, high, -low)
        if bids and asks:
            assert max(price for price, _ in bids) < min(price for price, _ in asks), self.rests

    def order(self, client: str) -> OwnOrder:
        """Return our own order."""
        order = self.desk.engine.account.orders.by_client(client)
        assert order is not None
        return order

    def fill(self, client: str, qty_e2: int) -> None:
        """Fill a resting order and tell the feed."""
        side, price, rest = self.rests[client]
        qty_e2 = min(qty_e2, rest)
        self.rests[client] = (side, price, rest - qty_e2)
        if rest == qty_e2:
            del self.rests[client]
        self.position_e2 += qty_e2 * side.sign
        fill = a_fill(self.order(client), qty_e2, f"t{next(self.trades)}", price_e4=price)
        self.desk.engine.intake.on_fill(fill, self.desk.now)

    def cancel(self, cancel: CancelRequest, fate: str) -> None:
        """Answer one cancel."""
        client = cancel.client_order_id
        if fate in ("accepted", "unknown") and client in self.rests:
            _, _, rest = self.rests.pop(client)
            answer: Accepted | Refused | Unknown = accepted(
                client, cancel.order_id, reduced_by_e2=rest, remaining_e2=0
            )
            if fate == "unknown":
                answer = Unknown(0, "timeout")
        else:
            answer = Refused(404, "not_found", "")
        self.desk.engine.intake.on_cancel_answer(cancel, answer, self.desk.now)

    def create(self, request: CreateRequest, fate: str) -> None:
        """Answer one create."""
        client = request.client_order_id
        answer: Answer
        if fate == "unsent":
            answer = NotSent("halted")
        elif fate == "refused":
            answer = Refused(400, "invalid_order", "")
        else:
            self.desk.engine.intake.on_sent([client], self.desk.now)
            self.rests[client] = (request.side, request.price_e4, request.qty_e2)
            answer = accepted(client, remaining_e2=request.qty_e2)
            if fate == "unknown":
                answer = Unknown(0, "timeout")
        self.desk.engine.intake.on_create_answer(client, answer, self.desk.now)

    def amend(self, request: AmendRequest, fate: str) -> None:
        """Answer one amend."""
        client = request.client_order_id
        answer: Answer = NotSent("halted") if fate == "unsent" else Refused(400, "invalid_order", "")
        if fate in ("accepted", "unknown") and client in self.rests:
            rest = request.total_e2 - self.order(client).filled_e2
            if rest > 0:
                self.rests[client] = (request.side, request.price_e4, rest)
                answer = accepted(client, request.order_id, remaining_e2=rest, has_remaining=False)
            else:
                answer = Refused(400, "invalid_amend_qty_for_order", "")
            if fate == "unknown":
                answer = Unknown(0, "timeout")
        elif fate in ("accepted", "unknown"):
            answer = Refused(404, "not_found", "")
        self.desk.engine.intake.on_amend_answer(client, Action.AMEND, answer, self.desk.now)

    def decrease(self, client: str, order_id: str, remaining_e2: int, fate: str) -> None:
        """Answer one decrease."""
        if client not in self.rests or fate in ("refused", "unsent"):
            answer: Answer = Refused(404, "not_found", "") if client not in self.rests else NotSent("x")
        else:
            side, price, rest = self.rests[client]
            self.rests[client] = (side, price, min(rest, remaining_e2))
            answer = accepted(client, order_id, remaining_e2=min(rest, remaining_e2))
            if fate == "unknown":
                answer = Unknown(0, "timeout")
        self.desk.engine.intake.on_amend_answer(client, Action.DECREASE, answer, self.desk.now)

    def serve(self, effects: list[Effect], draw: st.DataObject | None) -> int:
        """Let requests arrive in any order, with fills in between; the sender's waits are kept."""
        steps: list[tuple[str, object, SendBatch | None]] = []
        for effect in effects:
            if isinstance(effect, SendCancels):
                steps += [("cancel", one, None) for one in effect.cancels]
            elif isinstance(effect, SendBatch):
                steps += [("cancel", one, effect) for one in effect.cancels]
                steps += [("amend", one.request, effect) for one in effect.amends]
                steps += [("decrease", one, effect) for one in effect.decreases]
                steps += [("create", one, effect) for one in effect.creates]
        count = len(steps)
        while steps:
            free = [step for step in steps if not _waits(step, steps)]
            index = draw.draw(st.integers(0, len(free) - 1)) if draw is not None else 0
            step = free[index]
            steps.remove(step)
            fate = draw.draw(st.sampled_from(FATES)) if draw is not None else "accepted"
            if draw is not None and self.rests and draw.draw(st.booleans()):
                client = draw.draw(st.sampled_from(sorted(self.rests)))
                self.fill(client, draw.draw(sizes))
                self.look()
            self.take(step, fate)
            self.look()
        for effect in effects:
            if isinstance(effect, SendBatch):
                self.desk.engine.batch_answered()
        return count

    def take(self, step: tuple[str, object, SendBatch | None], fate: str) -> None:
        """Let one request arrive."""
        kind, what, batch = step
        if kind == "cancel":
            assert isinstance(what, CancelRequest)
            self.cancel(what, fate)
        elif kind == "amend":
            assert isinstance(what, AmendRequest)
            self.amend(what, fate)
        elif kind == "decrease":
            self.decrease(what.client_order_id, what.order_id, what.remaining_e2, fate)  # type: ignore[attr-defined]
        else:
            request = what.request  # type: ignore[attr-defined]
            assert batch is not None
            client = request.client_order_id
            gone = batch.after.get(client)
            if gone is not None and (why := self.desk.engine.recheck(what, self.desk.now)):  # type: ignore[arg-type]
                self.desk.engine.intake.on_create_answer(client, NotSent(why), self.desk.now)
            else:
                self.create(request, fate)


def _waits(
    step: tuple[str, object, SendBatch | None], steps: list[tuple[str, object, SendBatch | None]]
) -> bool:
    # The sender hands nothing that follows a cancel to the wire before all cancels of its batch are answered.
    kind, what, batch = step
    if kind != "create" or batch is None or what.request.client_order_id not in batch.after:  # type: ignore[attr-defined]
        return False
    return any(other[0] == "cancel" and other[2] is batch for other in steps)


def a_venue(with_rules: PlanRules) -> Venue:
    desk = a_desk(rules=with_rules, limits=TIGHT)
    desk.engine.on_top(a_top(bid_e4=3_000, ask_e4=7_000, sequence=2), desk.now)
    return Venue(desk)


@settings(max_examples=400)
@given(first=two_sided(), second=two_sided(), with_rules=rules)
def test_one_pass_is_enough_on_a_frozen_world(
    first: list[QuoteV1], second: list[QuoteV1], with_rules: PlanRules
) -> None:
    """With every request accepted, the second pass has nothing to do, whatever rested and is wanted."""
    venue = a_venue(with_rules)
    venue.serve(venue.desk.quote(*first), None)
    venue.serve(venue.desk.quote(*second, sequence=2), None)
    assert venue.serve(venue.desk.quote(*second, sequence=3), None) == 0
    wanted = {(quote.side, quote.price_e4, quote.qty_e2) for quote in second}
    assert set(venue.rests.values()) == wanted


@settings(max_examples=600)
@given(passes=st.lists(two_sided(), min_size=2, max_size=4), with_rules=rules, fate=st.data())
def test_no_subset_of_outcomes_exceeds_a_cap_or_lets_own_orders_meet(
    passes: list[list[QuoteV1]], with_rules: PlanRules, fate: st.DataObject
) -> None:
    """Accepted, refused, unknown, unsent, in any order, with fills in between: the caps hold."""
    venue = a_venue(with_rules)
    for sequence, quotes in enumerate(passes, 1):
        venue.desk.engine.account.hold_until_ns.clear()
        venue.serve(venue.desk.quote(*quotes, sequence=sequence), fate)
    assert venue.worst_e2 <= CAP_E2


@settings(max_examples=200)
@given(first=two_sided(), with_rules=rules, fate=st.data())
def test_size_that_only_falls_is_never_cancelled_by_a_pass(
    first: list[QuoteV1], with_rules: PlanRules, fate: st.DataObject
) -> None:
    venue = a_venue(with_rules)
    venue.serve(venue.desk.quote(*first), None)
    smaller = [
        QuoteV1(side=q.side, price_e4=q.price_e4, qty_e2=fate.draw(st.integers(1, q.qty_e2))) for q in first
    ]
    effects = venue.desk.quote(*smaller, sequence=2)
    for effect in effects:
        assert not isinstance(effect, SendCancels)
        if isinstance(effect, SendBatch):
            assert not effect.cancels
            assert not effect.amends
            assert not effect.creates


def test_two_sides_that_jump_past_one_another_leave_in_one_batch_behind_both_cancels() -> None:
    desk = a_desk(rules=PlanRules(hysteresis_ticks=0), limits=TIGHT)
    desk.engine.on_top(a_top(bid_e4=3_000, ask_e4=7_000, sequence=2), desk.now)
    bid, ask = (
        QuoteV1(side=Side.BID, price_e4=4_500, qty_e2=100),
        QuoteV1(side=Side.ASK, price_e4=5_000, qty_e2=100),
    )
    desk.accept_all(desk.quote(bid, ask))
    up = [
        QuoteV1(side=Side.BID, price_e4=5_000, qty_e2=100),
        QuoteV1(side=Side.ASK, price_e4=5_500, qty_e2=100),
    ]
    batches = [effect for effect in desk.quote(*up, sequence=2) if isinstance(effect, SendBatch)]
    assert [(len(one.cancels), len(one.creates), len(one.after)) for one in batches] == [(2, 2, 2)]
    assert desk.engine.account.market_now(MARKET, desk.now).now_ms == START_MS
