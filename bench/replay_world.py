"""All cores on one thread: recorded tape, simulated venue, marketdata, strategy, executor.

No bus, no sockets, no encoding between them: what one core returns is handed to
the next, on the tape's own clock. The venue answers at once. The executor's
gate is open because everything it asks for is given to it: an epoch, fresh
permits, a clear latch, books. What is left out is only what waits: the journal's
acknowledgement and the wire.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.strategy import MAKER_SETTINGS
from libs.common.control.latch import LatchState
from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.kalshi.budget import TokenBuckets
from libs.common.kalshi.model import (
    Accepted,
    AccountLimits,
    BookDelta,
    BookSnapshot,
    Bucket,
    EndpointCosts,
    FeedEvent,
    FeedHeard,
    OwnFill,
    OwnOrder,
    PublicTrade,
    Refused,
    VenueBalance,
    VenueEvent,
    VenueFill,
    VenueMarket,
    VenueOrder,
    VenueOrderStatus,
    VenueSeries,
)
from libs.common.messages.control import GateState, PermitV1
from libs.common.messages.execution import Action, OrderGroupV1, PositionV1
from libs.common.messages.market import BookV1, MarketState, MarketV1, TopV1
from libs.common.risk.limits import RiskLimits
from libs.common.runtime.latch_file import LatchWord
from services.executor.core.account import Account, Now
from services.executor.core.answers import NotSent
from services.executor.core.approval import Approver
from services.executor.core.effects import Effect, MakeGroup, PublishPosition, SendBatch, SendCancels
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
from services.executor.core.requests import AmendRequest, CreateRequest
from services.executor.core.risk_desk import RiskDesk
from services.executor.core.seal import Seal
from services.marketdata.core.feed_core import FeedCore, FeedRules, Resync
from services.simexchange.core import requests as venue_requests
from services.simexchange.core.events import BookReset, Filled, LevelChanged, OrderChanged, Traded
from services.simexchange.core.order_groups import OrderGroup
from services.simexchange.core.tape import TapeEvent
from services.simexchange.core.tape_market import TapeMarket
from services.simexchange.core.tape_source import TapeSource
from services.simexchange.core.venue import Venue
from services.strategy.core.pipeline import decide
from services.strategy.core.plans import Plans

SLOT_NS = 10_000_000
"""The live conflation rule: what changed within one such slot is published once."""
_MS = 1_000_000
_FOREVER = 10**19
"""Monotonic nanoseconds that no run reaches: here is no private feed that could fall silent."""
_S = 1_000_000_000
_ACCOUNT = "dora"
_LIMITS = RiskLimits(
    order_qty_e2_max=10_000,
    order_notional_e6_max=1_000_000_000,
    market_position_e2_max=50_000,
    market_exposure_e6_max=1_000_000_000,
    market_orders_max=100,
    market_balance_share_e4_max=10_000,
    event_contracts_e2_max=1_000_000,
    event_exposure_e6_max=1_000_000_000,
    account_contracts_e2_max=10_000_000,
    account_exposure_e6_max=5_000_000_000,
    account_orders_max=10_000,
    price_collar_e4_max=1_000,
    reference_age_ms_max=2_000,
    balance_age_ms_max=1_000_000_000,
    orders_per_s_max=1_000,
    notional_per_minute_e6_max=1_000_000_000_000,
    orders_repeated_per_s_max=100,
    orders_same_price_max=1,
)
_BALANCE = VenueBalance(total_e6=10**12, by_shard={0: 10**12}, updated_ms=0)


@dataclass(slots=True)
class Tally:
    """What happened in one replay."""

    events: int = 0
    decisions: int = 0
    requests: int = 0
    fills: int = 0


class ReplayWorld:
    """One tape through every core."""

    def __init__(self, market: TapeMarket, events: Iterator[TapeEvent], start_ns: int) -> None:
        self.tally = Tally()
        self._venue = Venue(chance=random.Random(1))
        self._venue.add_account(
            _ACCOUNT, cash_by_shard={0: 1_000_000 * 1_000_000}, now_ns=start_ns, tier="prestige"
        )
        self._source = TapeSource(self._venue, [(market, events)], speed=1.0, start_ns=start_ns)
        self._market = market.market
        self._feed = FeedCore(FeedRules(), "replay")
        self._plan = Plans(
            "dora-maker", {"default": MAKER_SETTINGS}, trading_enabled=True, reduce_only=False
        ).of(market.market)
        self._position: PositionV1 | None = None
        self._engine = _engine(start_ns)
        self._engine.on_balance(_BALANCE, start_ns)
        self._permits = 0
        self._ticked_ns = 0
        listed = self._venue.markets[market.market]
        event = market.event.event
        self._feed.put_market(
            VenueMarket(
                market=market.market,
                event=event,
                shard=0,
                state=MarketState.ACTIVE,
                title="replay",
                grid=grid_of_steps((0, 10_000, 100)).bands,
                open_ms=start_ns // _MS - 1,
                close_ms=listed.close_ns // _MS,
                can_close_early=True,
            ),
            VenueEvent(
                event=event, series=market.series.series, title="replay", shard=0, is_mutually_exclusive=False
            ),
            VenueSeries(
                series=market.series.series, title="replay", fee_type="quadratic", fee_multiplier_e4=10_000
            ),
            start_ns,
        )

    def run(self) -> Tally:
        """Play to the tape's end and return what happened."""
        source = self._source
        while (due_ns := source.next_ns()) is not None:
            slot_end_ns = due_ns - due_ns % SLOT_NS + SLOT_NS
            while due_ns is not None and due_ns < slot_end_ns:
                source.play_next(due_ns)
                due_ns = source.next_ns()
            self._turn(slot_end_ns)
        self.tally.events = source.events_played
        assert self._venue.residual_e6() == 0, "money out of nowhere"
        return self.tally

    # One slot: what the venue said, what marketdata publishes, what is decided, planned and sent.
    def _turn(self, now_ns: int) -> None:
        self._listen(now_ns)
        engine, now = self._engine, Now(now_ns, now_ns // _MS)
        if now_ns - self._ticked_ns >= _S // 2:
            self._ticked_ns = now_ns
            self._permit(now)
            self._perform(engine.on_tick(now), now)
        for out in self._feed.poll(now_ns, now_ns):
            message = out.message
            if isinstance(message, BookV1):
                self.tally.decisions += 1
                engine.on_target(decide(message, self._position, self._plan), now)
            elif isinstance(message, TopV1):
                engine.on_top(message, now)
            elif isinstance(message, MarketV1):
                self._perform(engine.on_status(message, now), now)
        self._perform(engine.run_pass(now), now)
        self._listen(now_ns)

    def _permit(self, now: Now) -> None:
        self._permits += 1
        engine = self._engine
        for issuer in ("risk", "recon"):
            permit = PermitV1(
                issuer=issuer, boot="replay", counter=self._permits, account=_ACCOUNT, is_open=True
            )
            engine.on_permit(issuer, permit, now)
        engine.epoch.renewed(now.ns)
        engine.account.gate.renewed_ns = now.ns

    def _listen(self, now_ns: int) -> None:
        public: list[FeedEvent] = []
        private: list[FeedEvent] = []
        reset: BookReset | None = None
        for event in self._venue.drain():
            if type(event) is LevelChanged:
                public.append(
                    BookDelta(
                        event.market, event.side, event.price_e4, event.change_e2, event.clock, event.venue_ms
                    )
                )
            elif isinstance(event, Traded):
                public.append(
                    PublicTrade(
                        event.market,
                        event.trade_id,
                        event.price_e4,
                        event.qty_e2,
                        event.taker_side,
                        event.venue_ns // _MS,
                    )
                )
            elif isinstance(event, BookReset):
                reset = event
            elif isinstance(event, Filled):
                if event.account == _ACCOUNT:
                    self.tally.fills += 1
                    private.append(OwnFill(_fill(event)))
            elif isinstance(event, OrderChanged) and event.account == _ACCOUNT:
                private.append(OwnOrder(_order(event)))
        if reset is not None:
            # The book as it stands now already has every change of this slot.
            book = self._venue.markets[reset.market].book
            bids, asks = tuple(book.displayed(Side.BID)), tuple(book.displayed(Side.ASK))
            public = [event for event in public if not isinstance(event, BookDelta)]
            public.append(BookSnapshot(reset.market, bids, asks, reset.clock, reset.venue_ms))
        public.append(FeedHeard(now_ns // _MS))
        asked = self._feed.on_events(public, now_ns, now_ns)
        assert not any(isinstance(one, Resync) for one in asked), asked
        if private:
            now = Now(now_ns, now_ns // _MS)
            # The polls' part: what was paid for fills is believed until the venue's next word about cash.
            self._engine.on_balance(_BALANCE, now_ns)
            self._perform(self._engine.on_feed(private, now), now)

    def _perform(self, effects: Iterable[Effect], now: Now) -> None:
        for effect in effects:
            if isinstance(effect, PublishPosition):
                if effect.position.market == self._market:
                    self._position = effect.position
            elif isinstance(effect, SendBatch):
                self._send(effect, now)
            elif isinstance(effect, SendCancels):
                self._cancel(effect, now)
            elif isinstance(effect, MakeGroup):
                made = self._venue.groups.create(_ACCOUNT, effect.shard, 100_000_000, now.ns)
                assert isinstance(made, OrderGroup), made
                self._engine.account.group(
                    OrderGroupV1(
                        account=_ACCOUNT,
                        epoch=1,
                        shard=effect.shard,
                        order_group_id=made.order_group_id,
                        limit_e2=100_000_000,
                    )
                )

    def _send(self, batch: SendBatch, now: Now) -> None:
        engine, venue = self._engine, self._venue
        approved = batch.creates + batch.amends
        assert engine.may_send(approved, batch.markets, now) is None
        if batch.cancels:
            self._cancel(SendCancels(batch.cancels, is_paid=True), now)
        for one in approved:
            request = one.request
            client = request.client_order_id
            assert engine.seal.spend(one, 1, now.ns) is None
            if client in batch.after and (why := engine.recheck(one, now)):
                self._perform(engine.intake.on_create_answer(client, NotSent(why), now), now)
                continue
            self.tally.requests += 1
            engine.intake.on_sent([client], now)
            if isinstance(request, CreateRequest):
                placed = venue.create(_ACCOUNT, _create(request), now.ns)
                effects = engine.intake.on_create_answer(request.client_order_id, _answer(placed), now)
            else:
                amended = venue.amend(_ACCOUNT, _amend(request), now.ns)
                effects = engine.intake.on_amend_answer(
                    request.client_order_id, Action.AMEND, _answer(amended), now
                )
            self._perform(effects, now)
        for decrease in batch.decreases:
            self.tally.requests += 1
            ref = venue_requests.OrderRef(decrease.order_id, decrease.market, decrease.shard)
            lowered = venue.decrease(
                _ACCOUNT, venue_requests.DecreaseRequest(ref, reduce_by_e2=decrease.reduce_by_e2), now.ns
            )
            self._perform(
                engine.intake.on_amend_answer(
                    decrease.client_order_id, Action.DECREASE, _answer(lowered), now
                ),
                now,
            )
        engine.batch_answered()

    def _cancel(self, cancels: SendCancels, now: Now) -> None:
        for cancel in cancels.cancels:
            self.tally.requests += 1
            ref = venue_requests.OrderRef(cancel.order_id, cancel.market, cancel.shard)
            answer = _answer(self._venue.cancel(_ACCOUNT, ref, now.ns))
            self._perform(self._engine.intake.on_cancel_answer(cancel, answer, now), now)


def _engine(now_ns: int) -> Engine:
    gate = Gate(_ACCOUNT, GateLimits(), is_recovered=True, renewed_ns=now_ns, file_reason="")
    gate.hearing.compared(_FOREVER)
    gate.latch = LatchState(
        is_halted=False, halt_sequence=1, resume_sequence=2, level=GateState.RUNNING, reason="", source=""
    )
    account = Account(
        _ACCOUNT,
        "replay",
        gate,
        JournalWriter("sim", _ACCOUNT, 1),
        OwnOrders(),
        Positions(_ACCOUNT, epoch=1),
        RiskDesk(),
    )
    seal = Seal(b"one key for one replay, no secret")
    budget = Bucket(refill_per_s=9_600, capacity=28_800)
    buckets = TokenBuckets(
        AccountLimits("prestige", budget, budget), EndpointCosts(default=10), now_ns, shards=(0,)
    )
    epoch = EpochKeeper(EpochTimes())
    epoch.claimed(1, 1, now_ns)
    return Engine(
        account,
        Quoter(account, Approver(account, seal, _LIMITS), buckets, PlanRules()),
        Intake(account, "sim"),
        Halting(account, LatchWord(is_halted=False, halt_sequence=1, reason="")),
        epoch,
        seal,
    )


def _create(request: CreateRequest) -> venue_requests.CreateRequest:
    return venue_requests.CreateRequest(
        market=request.market,
        side=request.side,
        price_e4=request.price_e4,
        qty_e2=request.qty_e2,
        client_order_id=request.client_order_id,
        expires_s=request.expires_ms // 1000,
        post_only=request.post_only,
        order_group_id=request.order_group_id,
        exchange_index=request.shard,
    )


def _amend(request: AmendRequest) -> venue_requests.AmendRequest:
    return venue_requests.AmendRequest(
        ref=venue_requests.OrderRef(request.order_id, request.market, request.shard),
        side=request.side,
        price_e4=request.price_e4,
        total_e2=request.total_e2,
        client_order_id=request.client_order_id,
        expires_s=request.expires_ms // 1000,
    )


def _answer(
    said: venue_requests.Placed | venue_requests.Reduced | venue_requests.Rejection,
) -> Accepted | Refused:
    if isinstance(said, venue_requests.Rejection):
        return Refused(said.status, said.code, said.text)
    if isinstance(said, venue_requests.Reduced):
        return Accepted(
            said.order_id, said.client_order_id, 0, said.remaining_e2, said.reduced_e2, said.venue_ns // _MS
        )
    return Accepted(
        said.order_id, said.client_order_id, said.filled_e2, said.remaining_e2, 0, said.venue_ns // _MS
    )


def _fill(event: Filled) -> VenueFill:
    return VenueFill(
        event.trade_id,
        event.order_id,
        event.client_order_id,
        event.market,
        event.shard,
        event.side,
        event.price_e4,
        event.qty_e2,
        event.fee_e6,
        event.is_taker,
        event.venue_ns // _MS,
        event.position_after_e2,
    )


def _order(event: OrderChanged) -> VenueOrder:
    order = event.order
    return VenueOrder(
        order.order_id,
        order.client_order_id,
        order.market,
        order.shard,
        order.side,
        order.price_e4,
        order.initial_e2,
        order.filled_e2,
        order.remaining_e2,
        VenueOrderStatus(order.status.value),
        order.order_group_id,
        None,
        event.reason.value,
    )
