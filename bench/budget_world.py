"""The executor's planner and budget against the venue's own bucket rules, on virtual time.

Real here: planner, lanes, approvals, seal, journal messages, token mirror, order life.
The venue is its bucket core (`services/simexchange/core/budget.py`) and accepts whatever
is paid for; requests and answers take a random time each way. The market is a jump
process: one event's whole ladder moves at once, as strikes of one underlying do.
Nothing is filled: tokens are the matter here.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from libs.common.control.latch import LatchState
from libs.common.domain.side import Side
from libs.common.kalshi.budget import TokenBuckets
from libs.common.kalshi.model import Accepted, AccountLimits, Bucket, EndpointCosts, Refused, VenueBalance
from libs.common.messages.control import GateState, PermitV1
from libs.common.messages.execution import Action, OrderGroupV1
from libs.common.messages.market import BandV1, FeeTermsV1, MarketState, MarketV1, TopV1
from libs.common.messages.target import QuoteV1, TargetV1
from libs.common.risk.limits import RiskLimits
from libs.common.runtime.latch_file import LatchWord
from services.executor.core.account import Account, Now
from services.executor.core.answers import NotSent
from services.executor.core.approval import Approver
from services.executor.core.effects import Effect, Lane, MakeGroup, SendBatch, SendCancels
from services.executor.core.engine import Engine
from services.executor.core.epoch import EpochKeeper, EpochTimes
from services.executor.core.gate import Gate, GateLimits
from services.executor.core.halting import Halting
from services.executor.core.intake import Intake
from services.executor.core.journal import JournalWriter
from services.executor.core.orders import OwnOrders
from services.executor.core.planner import PlanRules
from services.executor.core.positions import Positions
from services.executor.core.quoting import Quoter
from services.executor.core.requests import CancelRequest, CreateRequest
from services.executor.core.risk_desk import RiskDesk
from services.executor.core.seal import Approved, Seal
from services.simexchange.core.budget import COST_CANCEL, COST_DEFAULT, ENDPOINT_COSTS, TIERS, AccountBudget

S: Final = 1_000_000_000
MS: Final = 1_000_000
START_NS: Final = 1_000 * S
WALL_MS: Final = 1_800_000_000_000
EVENTS: Final = 6
MARKETS_PER_EVENT: Final = 10
ACCOUNT: Final = "bench"
SHARDS: Final = (0, 1, 2)
STEP_NS: Final = 10 * MS
"""Answers within one such step are planned together; a jump is planned at once."""
_FOREVER: Final = 10**18
_HUGE: Final = 10**15
_LIMITS: Final = RiskLimits(**dict.fromkeys(RiskLimits.__struct_fields__, _HUGE))
_RULES: Final = PlanRules(hysteresis_ticks=0, renew_ms=0, life_ms=10**12)


@dataclass(slots=True)
class Tally:
    """What happened.

    Attributes:
        quotes: Prices placed: creates and moves that the venue accepted.
        writes: Orders written: every create, amend, decrease and cancel by itself.
        calls: HTTP requests.
        refused_for_rate: 429s; none are allowed.
        cancels_waited: Withdrawals whose cancel did not leave in the pass that wanted it.
        cancel_wait_ns: The longest of these waits.
        unscoped_tokens: Spent at the venue from the unscoped bucket.
    """

    quotes: int = 0
    singles: int = 0
    writes: int = 0
    calls: int = 0
    refused_for_rate: int = 0
    withdrawals: int = 0
    cancels_waited: int = 0
    cancel_wait_ns: int = 0
    unscoped_tokens: int = 0
    shard_tokens: int = 0


@dataclass(slots=True)
class Demand:
    """Jumps: which event moves when, and where its ladder goes. The same seed is the same demand."""

    jumps_per_s: float
    seed: int
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def next_jump(self) -> tuple[int, int, int, bool]:
        """Return nanoseconds until the next jump, its event, its size in ticks, and whether it withdraws."""
        chance = self._chance
        wait_ns = int(chance.expovariate(self.jumps_per_s) * S)
        # Three ticks and more: further than any amend could be spared by hysteresis.
        return wait_ns, chance.randrange(EVENTS), chance.choice((-4, -3, 3, 4)), chance.random() < 0.02


class VenueBuckets:
    """The venue's side: bills what arrives, and counts what it refuses."""

    def __init__(self, tier: str, tally: Tally) -> None:
        self._budget = AccountBudget(TIERS[tier], START_NS)
        # Full buckets would flatter the first seconds.
        self._budget.write.level_nano = 0
        self._tally = tally

    def bill(self, cost: int, shard: int, now_ns: int) -> bool:
        """Bill a write; False is a 429."""
        if not self._budget.spend_write(cost, shard, SHARDS, now_ns):
            self._tally.refused_for_rate += 1
            return False
        if shard == 0:
            self._tally.unscoped_tokens += cost
        else:
            self._tally.shard_tokens += cost
        return True


class BudgetWorld:
    """One executor core under one demand."""

    def __init__(self, demand: Demand, *, tier: str = "advanced", batch_items: int = 20) -> None:
        self.tally = Tally()
        self._demand = demand
        self._chance = random.Random(demand.seed + 1)
        self._venue = VenueBuckets(tier, self.tally)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now_ns = START_NS
        self._pass_ns = -1
        self._sequence = itertools.count(1)
        self._middles = [500] * EVENTS
        self._withdrawn_ns: dict[str, int] = {}
        self._ids = itertools.count(1)
        self.engine = _engine(tier, batch_items, START_NS)
        for event in range(EVENTS):
            for number in range(MARKETS_PER_EVENT):
                self._list(event, number)
        for shard in SHARDS:
            self.engine.account.group(
                OrderGroupV1(
                    account=ACCOUNT, epoch=1, shard=shard, order_group_id=f"g{shard}", limit_e2=_HUGE
                )
            )

    def run(self, seconds: int) -> Tally:
        """Let so much time go by."""
        end_ns = self._now_ns + seconds * S
        for event in range(EVENTS):
            self._target(event, is_gone=False)
        self._jump_later()
        self._each_second()
        while self._events and self._events[0][0] <= end_ns:
            self._now_ns, _, act = heapq.heappop(self._events)
            act()
        return self.tally

    # The market ---------------------------------------------------------------------------------------

    def _list(self, event: int, number: int) -> None:
        now, market = self._now(), _market(event, number)
        status = MarketV1(
            market=market,
            event=f"E{event}",
            series="E",
            shard=SHARDS[event % len(SHARDS)],
            state=MarketState.ACTIVE,
            title="",
            grid=(BandV1(start_e4=0, end_e4=10_000, step_e4=10),),
            fee=FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
            open_ms=0,
            close_ms=10**14,
            is_exclusive_event=False,
            can_close_early=False,
            trading_active=True,
            sequence=1,
            producer="bench",
        )
        self.engine.on_status(status, now)
        top = TopV1(
            market=market,
            event=f"E{event}",
            shard=status.shard,
            state=MarketState.ACTIVE,
            trading_active=True,
            bid_e4=100,
            bid_e2=100,
            ask_e4=9_900,
            ask_e2=100,
            last_e4=None,
            close_ms=10**14,
            is_stale=False,
            venue_ms=WALL_MS,
            as_of_ms=WALL_MS,
            sequence=1,
            producer="bench",
        )
        self.engine.on_top(top, now)

    def _jump_later(self) -> None:
        wait_ns, event, ticks, is_gone = self._demand.next_jump()

        def jump() -> None:
            # Reflected at the edges, so that every jump moves every quote.
            step = ticks if 300 < self._middles[event] + ticks < 700 else -ticks
            self._middles[event] += step
            self._target(event, is_gone=is_gone)
            self._jump_later()

        self._at(self._now_ns + wait_ns, jump)

    def _target(self, event: int, *, is_gone: bool) -> None:
        now = self._now()
        for number in range(MARKETS_PER_EVENT):
            middle_e4 = (self._middles[event] + number * 5) * 10
            quotes = (
                QuoteV1(side=Side.BID, price_e4=middle_e4 - 50, qty_e2=500),
                QuoteV1(side=Side.ASK, price_e4=middle_e4 + 50, qty_e2=500),
            )
            is_withdrawn = is_gone and number == 0
            market, sequence = _market(event, number), next(self._sequence)
            target = TargetV1(
                market=market,
                event=f"E{event}",
                strategy="bench/1",
                decision_id=f"bench:{market}:{sequence}",
                config_revision=1,
                book_producer="bench",
                book_sequence=sequence,
                book_venue_ms=now.ms,
                book_as_of_ms=now.ms,
                position_epoch=1,
                position_sequence=1,
                quotes=() if is_withdrawn else quotes,
                silences=(),
                stages=(),
                fair_e4=float(middle_e4),
                expires_ms=10**14,
                origin_mono_ns=now.ns,
            )
            self.engine.on_target(target, now)
            resting = self.engine.account.orders.of_market(market)
            if is_withdrawn and resting and not any(order.is_in_flight for order in resting):
                self.tally.withdrawals += 1
                self._withdrawn_ns[market] = now.ns
            else:
                self._withdrawn_ns.pop(market, None)
        self._pass()

    # The executor -------------------------------------------------------------------------------------

    def _pass(self) -> None:
        effects = self.engine.run_pass(self._now())
        self._perform(effects)
        for market, since_ns in list(self._withdrawn_ns.items()):
            orders = self.engine.account.orders.of_market(market)
            if any(order.order_id and not order.is_in_flight for order in orders):
                self.tally.cancels_waited += since_ns == self._now_ns
                continue
            self.tally.cancel_wait_ns = max(self.tally.cancel_wait_ns, self._now_ns - since_ns)
            del self._withdrawn_ns[market]
        wake_ns = self.engine.quoter.wake_ns
        if wake_ns is not None and (self._pass_ns <= self._now_ns or wake_ns < self._pass_ns):
            self._pass_ns = max(wake_ns, self._now_ns + STEP_NS)
            self._at(self._pass_ns, self._pass)

    def _pass_soon(self) -> None:
        if self._pass_ns <= self._now_ns or self._pass_ns > self._now_ns + STEP_NS:
            self._pass_ns = self._now_ns + STEP_NS
            self._at(self._pass_ns, self._pass)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, SendCancels):
                self._send_cancels(effect.cancels, lambda: None)
            elif isinstance(effect, SendBatch):
                self._send(effect)
            else:
                assert not isinstance(effect, MakeGroup), effect

    def _send(self, batch: SendBatch) -> None:
        left = [len(batch.creates) + len(batch.amends) + len(batch.decreases)]

        def answered(count: int) -> None:
            left[0] -= count
            if not left[0]:
                self.engine.batch_answered()
            self._pass_soon()

        intended_ns = self._now_ns + MS // 2
        loads = [batch.creates] if batch.lane is Lane.BATCH else [(one,) for one in batch.creates]
        free = [load for load in loads if load and not _follows(batch, load)]
        behind = [load for load in loads if load and _follows(batch, load)]
        for load in free:
            self._at(intended_ns, self._creating(batch, load, answered))
        for approved in batch.amends:
            self._at(intended_ns, self._amending(approved, answered))
        assert not batch.decreases, "sizes do not change here"
        if batch.cancels:

            def follow() -> None:
                for load in behind:
                    self._creating(batch, load, answered)()

            self._send_cancels(batch.cancels, follow)

    def _creating(
        self, batch: SendBatch, load: tuple[Approved, ...], answered: Callable[[int], None]
    ) -> Callable[[], None]:
        def create() -> None:
            engine, now = self.engine, self._now()
            going: list[CreateRequest] = []
            for one in load:
                request = one.request
                assert isinstance(request, CreateRequest), request
                why = engine.recheck(one, now) if request.client_order_id in batch.after else None
                if why is None:
                    going.append(request)
                    continue
                engine.intake.on_create_answer(request.client_order_id, NotSent(why), now)
                answered(1)
            if not going:
                return
            engine.intake.on_sent([request.client_order_id for request in going], now)
            shard = 0 if batch.lane is Lane.BATCH else going[0].shard
            self.tally.singles += len(going) if batch.lane is Lane.SINGLE else 0
            self._ask(COST_DEFAULT * len(going), shard, len(going), lambda is_paid: done(going, is_paid))

        def done(going: list[CreateRequest], is_paid: bool) -> None:  # noqa: FBT001 - the answer itself
            for request in going:
                client = request.client_order_id
                answer: Accepted | Refused = _LIMITED
                if is_paid:
                    self.tally.quotes += 1
                    answer = Accepted(f"v{next(self._ids)}", client, 0, request.qty_e2, 0, WALL_MS)
                self.engine.intake.on_create_answer(client, answer, self._now())
            answered(len(going))

        return create

    def _amending(self, approved: Approved, answered: Callable[[int], None]) -> Callable[[], None]:
        def done(is_paid: bool) -> None:  # noqa: FBT001 - the answer itself
            request = approved.request
            answer: Accepted | Refused = _LIMITED
            if is_paid:
                self.tally.quotes += 1
                self.tally.singles += 1
                answer = Accepted(
                    "", request.client_order_id, 0, request_total(approved), 0, WALL_MS, has_remaining=False
                )
            self.engine.intake.on_amend_answer(request.client_order_id, Action.AMEND, answer, self._now())
            answered(1)

        return lambda: self._ask(COST_DEFAULT, approved.request.shard, 1, done)

    def _send_cancels(self, cancels: Sequence[CancelRequest], then: Callable[[], None]) -> None:
        def done(is_paid: bool) -> None:  # noqa: FBT001 - the answer itself
            for cancel in cancels:
                order = self.engine.account.orders.by_order(cancel.order_id)
                assert order is not None, cancel
                answer: Accepted | Refused = _LIMITED
                if is_paid:
                    rest_e2 = order.remaining_e2
                    answer = Accepted(cancel.order_id, cancel.client_order_id, 0, 0, rest_e2, WALL_MS)
                self.engine.intake.on_cancel_answer(cancel, answer, self._now())
            then()
            self._pass_soon()

        self._ask(COST_CANCEL * len(cancels), 0, len(cancels), done)

    def _ask(self, cost: int, shard: int, writes: int, done: Callable[[bool], None]) -> None:
        """Send one request; it is billed when it arrives and answered later."""
        self.tally.calls += 1
        self.tally.writes += writes
        there_ns, back_ns = self._way_ns(), self._way_ns()

        def arrive() -> None:
            is_paid = self._venue.bill(cost, shard, self._now_ns)
            if is_paid:
                self.engine.quoter.buckets.record_success(shard)
            self._at(self._now_ns + back_ns, lambda: done(is_paid))

        self._at(self._now_ns + there_ns, arrive)

    def _way_ns(self) -> int:
        return int((2 + 8 * self._chance.random()) * MS)

    # Time ---------------------------------------------------------------------------------------------

    def _each_second(self) -> None:
        now, account = self._now(), self.engine.account
        account.gate.renewed_ns = self.engine.epoch.renewed_ns = now.ns
        for issuer in account.gate.issuers:
            permit = PermitV1(issuer=issuer, boot="b", counter=now.ns, account=ACCOUNT, is_open=True, epoch=1)
            account.gate.on_permit(issuer, permit, now.ns)
        if now.ns // S % 60 == 0:
            self.engine.on_balance(VenueBalance(_HUGE * 10, dict.fromkeys(SHARDS, _HUGE * 3), 0), now.ns)
            account.orders.forget_ended(now.ns)
        self._at(self._now_ns + S, self._each_second)

    def _now(self) -> Now:
        return Now(self._now_ns, WALL_MS + (self._now_ns - START_NS) // MS)

    def _at(self, at_ns: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at_ns, next(self._order), act))


_LIMITED: Final = Refused(429, "too_many_requests", "", is_rate_limit=True)


def request_total(approved: Approved) -> int:
    """Return an amend's total, for its answer."""
    return int(getattr(approved.request, "total_e2", 0))


def _follows(batch: SendBatch, load: tuple[Approved, ...]) -> bool:
    return any(one.request.client_order_id in batch.after for one in load)


def _market(event: int, number: int) -> str:
    return f"E{event}-{number}"


def _engine(tier: str, batch_items: int, now_ns: int) -> Engine:
    gate = Gate(
        ACCOUNT,
        GateLimits(book_age_ms=_FOREVER),
        is_recovered=True,
        renewed_ns=now_ns,
        file_reason="",
    )
    gate.hearing.compared(_FOREVER)
    gate.latch = LatchState(False, 1, 2, GateState.RUNNING, "", "")
    account = Account(
        ACCOUNT,
        "bench",
        gate,
        JournalWriter("sim", ACCOUNT, 1),
        OwnOrders(),
        Positions(ACCOUNT, epoch=1),
        RiskDesk(),
    )
    seal = Seal(b"one key for one bench, no secret")
    write = TIERS[tier].write
    bucket = Bucket(write.refill_per_s, write.capacity)
    costs = EndpointCosts(10, {(method, path): cost for method, path, cost in ENDPOINT_COSTS})
    buckets = TokenBuckets(
        AccountLimits(tier, bucket, bucket), costs, now_ns, shards=SHARDS, cancel_batch_items=batch_items
    )
    epoch = EpochKeeper(EpochTimes())
    epoch.claimed(1, 1, now_ns)
    engine = Engine(
        account,
        Quoter(account, Approver(account, seal, _LIMITS), buckets, _RULES, batch_items=batch_items),
        Intake(account, "sim"),
        Halting(account, LatchWord(is_halted=False, halt_sequence=1, reason="")),
        epoch,
        seal,
    )
    engine.on_balance(VenueBalance(_HUGE * 10, dict.fromkeys(SHARDS, _HUGE * 3), 0), now_ns)
    return engine
