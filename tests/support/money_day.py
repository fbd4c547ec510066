"""A trading day on one clock, with four books of the same money.

The simulated venue's core is the truth. Beside it the real cores keep their own
books: the executor's intake, the reconciler with its lister, the riskguard's
account. What the venue tells reaches each of them late, twice, out of order or
not at all, except that the reconciler's drop copy hears everything in the end;
the rest is read over the venue's real HTTP face, during which trading goes on.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

import httpx

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.env import Env
from libs.common.kalshi.model import (
    Bucket,
    FeedHeard,
    OwnFill,
    OwnPosition,
    VenueFill,
    VenuePosition,
)
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.token_bucket import TokenBucket
from libs.common.messages.execution import EpochV1, RenewV1
from libs.common.messages.market import MarketState
from libs.common.messages.risk import ReconResultV1
from libs.common.runtime.clock import ManualClock
from services.executor.core.account import Now
from services.executor.core.effects import Effect, RecordFill
from services.executor.core.positions import Genesis
from services.executor.shell.polls import Polls
from services.reconciler.config import Timing
from services.reconciler.core.core import ReconcilerCore
from services.reconciler.core.effects import Halt, Read
from services.reconciler.core.listing_view import Listing
from services.reconciler.shell.lister import Lister
from services.reconciler.wiring import patience
from services.riskguard.core.account import Account as RiskAccount
from services.riskguard.core.day import TradingDay
from services.riskguard.core.marks import Marks
from services.riskguard.core.open_orders import OpenOrders
from services.riskguard.core.reading import Reading
from services.simexchange.core.bank import FundingStatus
from services.simexchange.core.events import Filled, PositionChanged
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.orders import Order, TimeInForce
from services.simexchange.core.requests import AmendRequest, CreateRequest, OrderRef, Placed
from services.simexchange.core.venue import Venue
from services.simexchange.shell.auth import KeyRing, generate_key
from services.simexchange.shell.rest import RestFace
from tests.support.executor_builders import ACCOUNT, Desk, a_desk

START_NS = 1_800_000_000_000_000_000
S = 1_000_000_000
MS = 1_000_000
HOUR_S = 3_600
CENT_E6 = 10_000
CASH_E6 = 1_000_000_000_000
OURS, OTHERS = "ours", "others"
SETTLE_MS = 2_000
LATE_NS = 1_500 * MS
"""Word of mouth is at most this late: less than the reconciler waits for it."""

SERIES = (
    SeriesSpec("DAYA", "Maker fees", fee_type="quadratic_with_maker_fees", shard=0),
    SeriesSpec("DAYB", "Half fees", fee_type="quadratic", fee_multiplier_e4=5_000, shard=2),
    SeriesSpec("DAYC", "Combo fees", fee_type="quadratic_with_combo_maker_fees", shard=3),
)
GRIDS = {
    "DAYA": (grid_of_steps((0, 10_000, 100)), 100),
    "DAYB": (grid_of_steps((0, 10_000, 10)), 10),
    "DAYC": (grid_of_steps((0, 10_000, 1)), 1),
}
_OPPOSITE = {Side.BID: Side.ASK, Side.ASK: Side.BID}


class Interrupted(httpx.AsyncBaseTransport):
    """Hands requests to the venue's face, and lets the world go on before each of them."""

    def __init__(self, face: RestFace, before: Callable[[], None]) -> None:
        self._inner = httpx.ASGITransport(app=face, raise_app_exceptions=True)
        self._before = before

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, a little later."""
        self._before()
        return await self._inner.handle_async_request(request)


@dataclass
class Mouth:
    """Tells one listener of things: late, out of order, some twice, some never."""

    tell: Callable[[object], None]
    chance: random.Random
    lost_share: float
    late_share: float
    _waiting: list[tuple[int, int, object]] = field(default_factory=list)
    _count: Iterator[int] = field(default_factory=itertools.count)
    counts: Counter[str] = field(default_factory=Counter)

    def hear(self, what: object, now_ns: int) -> None:
        """Take one thing to tell."""
        draw = self.chance.random()
        if draw < self.lost_share:
            self.counts["lost"] += 1
            return
        times = 2 if draw > 0.95 else 1
        self.counts["doubled"] += times - 1
        for _ in range(times):
            late_ns = self.chance.randrange(LATE_NS) if self.chance.random() < self.late_share else 5 * MS
            self.counts["late"] += late_ns > 5 * MS
            heapq.heappush(self._waiting, (now_ns + late_ns, next(self._count), what))

    def pass_on(self, now_ns: int) -> None:
        """Tell everything whose time has come."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            self.tell(heapq.heappop(self._waiting)[2])


@dataclass
class MoneyDay:
    """Four books, one day."""

    seed: int
    markets_per_hour: int = 12
    read_lag_ns: int = 0
    clock: ManualClock = field(default_factory=lambda: ManualClock(START_NS, START_NS))
    counts: Counter[str] = field(default_factory=Counter)
    venue: Venue = field(init=False)
    desk: Desk = field(init=False)
    recon: ReconcilerCore = field(init=False)
    risk: RiskAccount = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._list_venue()
        self._open_books()
        self._mids: dict[str, int] = {}
        self._serial = itertools.count(1)
        self._resting: dict[str, list[str]] = {}
        self._alive: list[str] = []
        self._is_quiet = False
        self._renewals = itertools.count(1)
        self._held: set[str] = set()

    # The venue ----------------------------------------------------------------------------------------

    def _list_venue(self) -> None:
        now_ns = self.clock.now_ns()
        self.venue = Venue(chance=random.Random(self.seed + 1), seed=self.seed, read_lag_ns=self.read_lag_ns)
        for name in (OURS, OTHERS):
            self.venue.add_account(
                name, cash_by_shard=dict.fromkeys((0, 1, 2, 3), CASH_E6), now_ns=now_ns, tier="prestige"
            )
        for series in SERIES:
            self.venue.add_series(series)
        ring, key = KeyRing(), generate_key("reader", "ed25519")
        ring.add("reader", OURS, key.public_pem, ["read"])
        face = RestFace(self.venue, ring, self.clock, lambda: None)
        self.reader = VenueReader(
            "http://venue/trade-api/v2",
            Interrupted(face, self._go_on_a_little),
            Signer.from_pem("reader", key.private_pem),
            self.clock,
            budget=TokenBucket(Bucket(1_000_000, 1_000_000), self.clock.mono_ns()),
            deadline_s=60.0,
        )
        self.lister = Lister(self.reader, self.clock)
        self.lister._has_limits = True  # the buckets are not what is looked at here

    def list_hour(self, hour: int) -> list[str]:
        """List an hour's events and their markets; they close at its end."""
        now_ns, listed = self.clock.now_ns(), []
        for number in range(self.markets_per_hour):
            series = SERIES[number % len(SERIES)]
            event = f"{series.series}-H{hour}"
            if event not in self.venue.floor.events:
                self.venue.add_event(EventSpec(event, series.series, "Hour", shard=series.shard), now_ns)
            market = f"{event}-{number}"
            grid, step_e4 = GRIDS[series.series]
            spec = MarketSpec(
                market,
                event,
                market,
                grid,
                now_ns,
                START_NS + (hour + 1) * HOUR_S * S,
                settlement_timer_s=120,
            )
            self.venue.add_market(spec, FifoBook(), now_ns)
            self._mids[market] = self.chance.randrange(3_000, 7_000) // step_e4 * step_e4
            listed.append(market)
        self._alive = [m for m in self._mids if self.venue.markets[m].state is MarketState.ACTIVE]
        return listed

    def step(self, seconds: float) -> None:
        """Let time pass and make one burst of trading."""
        self.pass_time(seconds)
        if not self._alive:
            return
        market = self.chance.choice(self._alive)
        if self.venue.markets[market].state is not MarketState.ACTIVE:
            self._alive.remove(market)
            return
        (self._make if self.chance.random() < 0.6 else self._take)(market)
        self._pass_on()

    def pass_time(self, seconds: float) -> None:
        """Let time pass; what the venue tells meanwhile reaches whom it reaches."""
        self.clock.advance(int(seconds * S))
        self.venue.advance(self.clock.now_ns())
        self._pass_on()

    def _make(self, market: str) -> None:
        """Rest an order of ours, take from it in parts, sometimes change it between."""
        side, price_e4 = self.chance.choice(list(Side)), self._price(market)
        qty_e2 = self.chance.randrange(50, 2_000)
        mine = self._place(OURS, market, side, price_e4, qty_e2)
        for _ in range(self.chance.randrange(1, 5)):
            part_e2 = self.chance.randrange(1, max(2, qty_e2 // 2))
            self._place(
                OTHERS, market, _OPPOSITE[side], price_e4, part_e2, tif=TimeInForce.IMMEDIATE_OR_CANCEL
            )
        if mine is None or not mine.is_resting:
            return
        if self.chance.random() < 0.2:
            # An amend may cross: maker and taker fills of one order share its accumulator.
            ref = OrderRef(mine.order_id, market)
            total_e2 = mine.filled_e2 + self.chance.randrange(1, 500)
            request = AmendRequest(ref, side, self._price(market), total_e2)
            self.venue.amend(OURS, request, self.clock.now_ns())
            self.counts["amends"] += 1
        resting = self._resting.setdefault(market, [])
        resting.append(mine.order_id)
        while len(resting) > 3:
            gone = resting.pop(0)
            self.venue.cancel(OURS, OrderRef(gone, market), self.clock.now_ns())

    def _take(self, market: str) -> None:
        """Let others rest at a few prices, and sweep them with one order of ours."""
        side, price_e4 = self.chance.choice(list(Side)), self._price(market)
        step_e4 = GRIDS[market.partition("-")[0]][1]
        made = [
            self._place(
                OTHERS,
                market,
                _OPPOSITE[side],
                price_e4 + depth * step_e4 * side.sign,
                self.chance.randrange(1, 900),
            )
            for depth in range(self.chance.randrange(1, 5))
        ]
        worst_e4 = min(9_900, max(100, price_e4 + 4 * step_e4 * side.sign))
        qty_e2 = self.chance.randrange(1, 2_500)
        self._place(OURS, market, side, worst_e4, qty_e2, tif=TimeInForce.IMMEDIATE_OR_CANCEL)
        for order in made:
            if order is not None and order.is_resting:
                self.venue.cancel(OTHERS, OrderRef(order.order_id, market), self.clock.now_ns())

    def _place(  # noqa: PLR0917 - the facts of one order
        self,
        account: str,
        market: str,
        side: Side,
        price_e4: int,
        qty_e2: int,
        tif: TimeInForce = TimeInForce.GOOD_TILL_CANCELED,
    ) -> Order | None:
        request = CreateRequest(
            market, side, price_e4, qty_e2, tif=tif, client_order_id=f"{account}-{next(self._serial)}"
        )
        placed = self.venue.create(account, request, self.clock.now_ns())
        if not isinstance(placed, Placed):
            self.counts[f"refused {placed.code}"] += 1
            return None
        return self.venue.floor.orders[placed.order_id]

    def _price(self, market: str) -> int:
        step_e4 = GRIDS[market.partition("-")[0]][1]
        mid = self._mids[market] + self.chance.randrange(-2, 3) * max(step_e4, 50) // step_e4 * step_e4
        self._mids[market] = min(9_000, max(1_000, mid)) // step_e4 * step_e4
        return self._mids[market]

    # Money without trades -----------------------------------------------------------------------------

    def transfer(
        self, from_shard: int, to_shard: int, amount_e6: int, *, after_s: float, is_late: bool
    ) -> None:
        """Move cash of ours between shards."""
        self.venue.bank.transfer_ns, self.venue.bank.is_debited_late = int(after_s * S), is_late
        made = self.venue.transfer(OURS, from_shard, to_shard, amount_e6, self.clock.now_ns())
        self.counts["transfers" if not hasattr(made, "code") else "refused transfers"] += 1

    def fund(
        self,
        shard: int,
        cents: int,
        *,
        fee_cents: int = 0,
        after_s: float = 60,
        becomes: FundingStatus = FundingStatus.APPLIED,
    ) -> str:
        """Deposit (or, negative, withdraw) and return the id."""
        self.counts["deposits" if cents > 0 else "withdrawals"] += 1
        return self.venue.fund(
            OURS,
            shard,
            cents * CENT_E6,
            self.clock.now_ns(),
            fee_e6=fee_cents * CENT_E6,
            after_ns=int(after_s * S),
            becomes=becomes,
        ).funding_id

    # The books ----------------------------------------------------------------------------------------

    def _open_books(self) -> None:
        now_ns = self.clock.now_ns()
        cash = dict(self.venue.accounts[OURS].cash_e6)
        self.desk = a_desk()
        self.desk.engine.account.positions.genesis = Genesis(sum(cash.values()), now_ns // MS - 1)
        self.polls = Polls(
            engine=self.desk.engine,
            reader=self.reader,
            now=self._now,
            perform=self._perform,
            look_s=1,
            compare_s=5,
        )
        timing = Timing(cycle_ms=300_000, settle_ms=SETTLE_MS, executor_silence_ms=60_000, cycle_min_ms=100)
        self.recon = ReconcilerCore(ACCOUNT, Env.SIM, patience(timing))
        self.recon.on_epoch(
            EpochV1(
                account=ACCOUNT,
                number=1,
                holder="executor",
                run="run",
                build="b",
                config_hash="c",
                started_ns=now_ns,
                genesis_balance_e6=sum(cash.values()),
                genesis_ms=now_ns // MS - 1,
                genesis_shards_e6=tuple(cash.items()),
            ),
            100,
            now_ns,
        )
        self.recon.on_feed(FeedHeard(now_ns // MS), now_ns)
        self._did = self.recon.on_replayed(now_ns)
        """What the reconciler wants done."""
        day = TradingDay(ZoneInfo("UTC"), 0)
        self.risk = RiskAccount(day, Marks(5 * S), OpenOrders("sim"), day_ms=day.start_ms(now_ns // MS))
        self.to_executor = Mouth(self._tell_executor, random.Random(self.seed + 2), 0.02, 0.03)
        # One connection, one order: a drop copy that loses or shuffles would be named, as it should.
        self.to_recon = Mouth(self._tell_recon, random.Random(self.seed + 3), 0.0, 0.0)
        self.to_risk = Mouth(self._tell_risk, random.Random(self.seed + 4), 0.02, 0.03)

    def _pass_on(self) -> None:
        """Give everybody what the venue has told, as far as it has arrived."""
        now_ns = self.clock.now_ns()
        for event in self.venue.drain():
            if isinstance(event, Filled) and event.account == OURS:
                self.counts["fills"] += 1
                self.counts["partial" if self._is_partial(event) else "whole"] += 1
                self.counts[f"fills on shard {event.shard}"] += 1
                self.counts["taker" if event.is_taker else "maker"] += 1
                fill = _venue_fill(event)
                for mouth in (self.to_executor, self.to_recon, self.to_risk):
                    mouth.hear(fill, now_ns)
            elif isinstance(event, PositionChanged) and event.account == OURS:
                self.to_recon.hear(_venue_position(event), now_ns)
        for mouth in (self.to_executor, self.to_recon, self.to_risk):
            mouth.pass_on(now_ns)

    def _is_partial(self, event: Filled) -> bool:
        return self.venue.floor.orders[event.order_id].initial_e2 != event.qty_e2

    def _tell_executor(self, fill: object) -> None:
        assert isinstance(fill, VenueFill)
        self._perform(self.desk.engine.intake.on_fill(fill, self._now()))

    def _tell_recon(self, what: object) -> None:
        event = OwnFill(what) if isinstance(what, VenueFill) else OwnPosition(what)  # type: ignore[arg-type]
        self.recon.on_feed(event, self.clock.mono_ns())

    def _tell_risk(self, fill: object) -> None:
        assert isinstance(fill, VenueFill)
        self.risk.on_fill(fill)

    def _perform(self, effects: list[Effect]) -> None:
        """Let the reconciler hear what the executor records."""
        for effect in effects:
            if isinstance(effect, RecordFill):
                self.recon.on_fill(effect.fill)

    def _now(self) -> Now:
        return Now(self.clock.mono_ns(), self.clock.now_ns() // MS)

    def _go_on_a_little(self) -> None:
        """Trade on between two requests of one reading."""
        if self._is_quiet:
            return
        for _ in range(self.chance.randrange(3)):
            self.step(0.05)

    async def read(self, *, is_quiet: bool) -> ReconResultV1:
        """Let everybody read the venue, while it trades on or not, and return what the reconciler says."""
        self._is_quiet = is_quiet
        self._did += self.recon.on_request("timer", self.clock.mono_ns())
        while reads := [effect for effect in self._did if isinstance(effect, Read)]:
            self._did = [effect for effect in self._did if effect is not reads[0]]
            self.pass_time(1.1)  # the venue tells a balance once a second
            await self._executor_reads()
            self._claim()
            listing = await self.lister.read(reads[0].fills_from_ms, reads[0].balance_wait_ms)
            # Whose orders rest is not what is looked at here.
            listing = replace(listing, orders=())
            self._risk_reads(listing)
            self._claim()
            self._did += self.recon.on_listing(listing, reads[0].reason, self.clock.mono_ns())
        assert not [effect for effect in self._did if isinstance(effect, Halt)], self._did
        self._did.clear()
        assert self.recon.last_result is not None
        return self.recon.last_result

    def _claim(self) -> None:
        """Let the executor say that it lives, and what it holds."""
        now_ns, positions = self.clock.mono_ns(), self.desk.engine.account.positions
        renew = RenewV1(account=ACCOUNT, epoch=1, holder="executor", counter=next(self._renewals))
        self.recon.on_renew(renew, now_ns)
        self.recon.on_feed(FeedHeard(self.clock.now_ns() // MS), now_ns)
        # What was held a moment ago is told once more: that it is held no longer.
        told, self._held = {*self._held, *positions.open_markets}, positions.open_markets
        for market in sorted(told):
            self.recon.on_position(positions.message(market, (), has_unknown=False), now_ns)

    async def _executor_reads(self) -> None:
        """Let the executor read what its feed may have kept from it, by its own polls."""
        await self.polls.fills()
        await self.polls.settlements()

    def _risk_reads(self, listing: Listing) -> None:
        """Give the riskguard the same reading."""
        self.risk.on_reading(
            Reading(
                started_ns=listing.started_ns,
                orders=(),
                fills=listing.fills,
                positions=listing.positions,
                settlements=listing.settlements,
            ),
            self.clock.mono_ns(),
        )
        self.counts["readings"] += 1

    # What must be equal ---------------------------------------------------------------------------------

    def differences(self) -> list[str]:
        """Return every contract and every millionth by which a book differs from the venue's."""
        truth = self.venue.accounts[OURS]
        held = {m: p.qty_e2 for m, p in truth.positions.items() if p.qty_e2}
        flowed = {m: p.cash_e6 for m, p in truth.positions.items()}
        positions = self.desk.engine.account.positions
        found: list[str] = []
        ours = {m: positions.qty_e2(m) for m in positions.open_markets}
        if ours != held:
            found.append(f"executor's contracts {_unlike(ours, held)}")
        if (risks := self.risk.positions()) != held:
            found.append(f"riskguard's contracts {_unlike(risks, held)}")
        cash = {m: positions.cash_e6(m) for m in truth.positions}
        if cash != flowed:
            found.append(f"executor's cash {_unlike(cash, flowed)}")
        books = {m: b.position.cash_e6 for m, b in self.risk._books.items()}
        if books != flowed:
            found.append(f"riskguard's cash {_unlike(books, flowed)}")
        fees_e6 = sum(p.fees_e6 for p in truth.positions.values())
        if positions.fees_e6 != fees_e6:
            found.append(f"executor's fees {positions.fees_e6}, venue's {fees_e6}")
        if self.venue.residual_e6():
            found.append(f"the venue's own money out of nowhere: {self.venue.residual_e6()}")
        return found + self._unlike_balance(flowed)

    def _unlike_balance(self, flowed: dict[str, int]) -> list[str]:
        """Return shards whose cash is not genesis, flows, transfers and fundings, added up here."""
        account, bank = self.venue.accounts[OURS], self.venue.bank
        cash = Counter(dict.fromkeys((0, 1, 2, 3), CASH_E6))
        for market, cash_e6 in flowed.items():
            cash[self.venue.markets[market].shard] += cash_e6
        for transfer in bank.transfers_of(OURS):
            cash[transfer.from_shard] -= transfer.amount_e6 * transfer.is_debited
            cash[transfer.to_shard] += transfer.amount_e6 * transfer.is_complete
        for funding in bank.fundings.values():
            if funding.status is FundingStatus.APPLIED:
                cash[funding.shard] += funding.amount_e6 - funding.fee_e6
        return [f"shard cash {_unlike(dict(cash), account.cash_e6)}"] if dict(cash) != account.cash_e6 else []


def _unlike(ours: dict[object, int] | dict[str, int] | dict[int, int], theirs: object) -> str:
    assert isinstance(theirs, dict)
    keys = {*ours, *theirs}
    return str({k: (ours.get(k), theirs.get(k)) for k in keys if ours.get(k, 0) != theirs.get(k, 0)})


def _venue_fill(event: Filled) -> VenueFill:
    return VenueFill(
        trade_id=event.trade_id,
        order_id=event.order_id,
        client_order_id=event.client_order_id,
        market=event.market,
        shard=event.shard,
        side=event.side,
        price_e4=event.price_e4,
        qty_e2=event.qty_e2,
        fee_e6=event.fee_e6,
        is_taker=event.is_taker,
        venue_ms=event.venue_ns // MS,
        position_after_e2=event.position_after_e2,
    )


def _venue_position(event: PositionChanged) -> VenuePosition:
    return VenuePosition(event.market, 0, event.qty_e2, event.cost_e6, event.realised_e6, event.fees_e6)
