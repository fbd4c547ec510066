"""One order as the venue really had it, and everything that can be heard about it, in any order.

The model is a list: version 0 is "does not exist", each further one is what a single act of
the venue made of it. Evidence is an event that shows one version; a permutation of events is
possible where nothing shows what was not caused yet and no read is older than it may be. What
the executor's own code believes is compared with the list, never with other code.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from libs.common.domain.side import Side
from libs.common.kalshi.model import Accepted, Refused, Unknown, VenueFill, VenueOrder, VenueOrderStatus
from libs.common.messages.execution import Action, OrderState
from services.executor.core.account import Account, Now
from services.executor.core.gate import Gate, GateLimits
from services.executor.core.intake import Intake
from services.executor.core.journal import JournalWriter
from services.executor.core.order_life import Evidence
from services.executor.core.orders import OwnOrder, OwnOrders
from services.executor.core.positions import Positions
from services.executor.core.risk_desk import RiskDesk
from tests.support.executor_builders import ACCOUNT, MARKET, START_MS, START_NS, an_order

CLIENT, VENUE_ID = "dora-sim-1-1-0-00000000", "venue-1"
PRICE, TOTAL = 4_800, 500
LAG_NS = 1_000_000_000
RESTING, CANCELED, EXECUTED = (
    VenueOrderStatus.RESTING,
    VenueOrderStatus.CANCELED,
    VenueOrderStatus.EXECUTED,
)


@dataclass(frozen=True, slots=True)
class Version:
    """The order after one act of the venue.

    Attributes:
        status: None while it does not exist.
        needs: The request of ours without which this act can not have been.
        fill: The trade that made it, quantity, or 0.
    """

    status: VenueOrderStatus | None
    filled: int = 0
    remaining: int = 0
    price: int = PRICE
    needs: str = ""
    fill: int = 0

    @property
    def reach(self) -> int:
        """Return what it can be filled to at most as it stands."""
        return self.filled + self.remaining


NOTHING = Version(None)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing heard or done.

    Attributes:
        shows: The version that it proves to have been.
        after: Events of ours that must come before.
        play: Tells it to the executor's code; False where it can not happen at this point.
    """

    name: str
    play: Callable[[Teller], bool]
    shows: int = 0
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """What the venue did, and what is heard of it."""

    name: str
    versions: tuple[Version, ...]
    events: tuple[Event, ...]
    same_ms: bool = False
    """All acts within one millisecond of the venue's clock: then only one channel's own order tells."""
    is_fill_named: bool = True
    """Whether fills carry our id; over REST they do not."""

    def ms(self, version: int) -> int:
        """Return the venue's time of an act."""
        return START_MS + (0 if self.same_ms else 10 * version)


@dataclass
class Teller:
    """The executor's order and intake, and how far the truth is proven."""

    history: History
    account: Account = field(init=False)
    intake: Intake = field(init=False)
    order: OwnOrder = field(init=False)
    now: Now = field(default_factory=lambda: Now(START_NS, START_MS))
    known: int = 0
    done: set[str] = field(default_factory=set)

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
        self.order = an_order(
            client_order_id=CLIENT,
            order_id="",
            state=OrderState.INTENDED,
            price_e4=PRICE,
            initial_e2=TOTAL,
            total_e2=TOTAL,
            asked_ns=START_NS,
        )
        self.account.orders.add(self.order)
        self.intake.on_sent([CLIENT], self.now)

    @property
    def reachable(self) -> int:
        """Return the newest version that our requests so far can have caused."""
        last = 0
        for number, version in enumerate(self.history.versions):
            if version.needs and version.needs not in self.done:
                break
            last = number
        return last

    def pass_time(self, ns: int) -> None:
        """Let both clocks run."""
        self.now = Now(self.now.ns + ns, self.now.ms + ns // 1_000_000)

    def told(self, number: int) -> VenueOrder:
        """Return the order as the venue shows a version."""
        version = self.history.versions[number]
        assert version.status is not None
        return VenueOrder(
            order_id=VENUE_ID,
            client_order_id=CLIENT,
            market=MARKET,
            shard=0,
            side=Side.BID,
            price_e4=version.price,
            initial_e2=TOTAL,
            filled_e2=version.filled,
            remaining_e2=version.remaining,
            status=version.status,
            updated_ms=self.history.ms(number),
        )

    def fill(self, number: int, *, is_named: bool) -> VenueFill:
        """Return the fill that made a version."""
        version = self.history.versions[number]
        return VenueFill(
            trade_id=f"t{number}",
            order_id=VENUE_ID,
            client_order_id=CLIENT if is_named else "",
            market=MARKET,
            shard=0,
            side=Side.BID,
            price_e4=version.price,
            qty_e2=version.fill,
            fee_e6=100,
            is_taker=False,
            venue_ms=self.history.ms(number),
        )

    def list_resting(self, number: int, began_ns: int) -> None:
        """Answer a listing of resting orders begun at that time."""
        is_shown = self.history.versions[number].status is RESTING
        self.intake.on_listing([self.told(number)] if is_shown else [], began_ns, self.now)

    def read(self, number: int, began_ns: int) -> None:
        """Answer a read of the order's market, all states, begun at that time."""
        if self.history.versions[number].status is None:
            self.intake.on_absent(self.order, began_ns, self.now)
        else:
            self.intake.on_read_order(self.told(number), began_ns, self.now)


def feed(number: int, *after: str) -> Event:
    """Return the private feed's order message of a version."""

    def play(teller: Teller) -> bool:
        teller.intake.on_feed_order(teller.told(number), teller.now)
        return True

    return Event(f"feed{number}", play, number, after)


def fill(number: int, *after: str) -> Event:
    """Return the fill message of a version."""

    def play(teller: Teller) -> bool:
        is_named = teller.history.is_fill_named
        teller.intake.on_fill(teller.fill(number, is_named=is_named), teller.now)
        return True

    return Event(f"fill{number}", play, number, after)


def answer(outcome: Accepted | Refused | Unknown, shows: int = 0) -> Event:
    """Return the answer to the create."""

    def play(teller: Teller) -> bool:
        teller.intake.on_create_answer(CLIENT, outcome, teller.now)
        return True

    return Event("answer", play, shows)


def yes(number: int, filled: int = 0, remaining: int = TOTAL, reduced: int = 0, **changes: bool) -> Accepted:
    """Return the venue's consent."""
    return Accepted(VENUE_ID, CLIENT, filled, remaining, reduced, START_MS + 10 * number, **changes)


def cancel_sent() -> Event:
    """Return our cancel: by the planner where it may, else by the kill ladder, which asks nobody."""

    def play(teller: Teller) -> bool:
        if not teller.order.order_id:
            return False  # a cancel needs the venue's name of it
        if not teller.order.is_in_flight:
            teller.account.orders.apply(teller.order, Evidence.CANCEL_SENT, teller.now.ns)
        teller.order.asked_ns = teller.now.ns
        return True

    return Event("cancel_sent", play)


def cancel_answer(outcome: Accepted | Refused | Unknown, shows: int = 0) -> Event:
    """Return the answer to our cancel."""
    from services.executor.core.requests import CancelRequest

    def play(teller: Teller) -> bool:
        request = CancelRequest(VENUE_ID, CLIENT, MARKET, 0)
        teller.intake.on_cancel_answer(request, outcome, teller.now)
        return True

    return Event("cancel_answer", play, shows, ("cancel_sent",))


def amend_sent(price: int, total: int, *, is_blind: bool = False) -> Event:
    """Return our amend, which the planner makes of a known order without a request under way.

    ``is_blind``: only while no fill is known, because it asks for less than what is filled.
    """

    def play(teller: Teller) -> bool:
        order = teller.order
        if not order.order_id or not order.is_live or order.is_in_flight or order.is_unknown:
            return False
        if is_blind and order.filled_e2:
            return False
        order.pending_price_e4, order.pending_total_e2 = price, total
        order.asked_ns = teller.now.ns
        teller.account.orders.apply(order, Evidence.AMEND_SENT, teller.now.ns)
        return True

    return Event("amend_sent", play)


def amend_answer(outcome: Accepted | Refused | Unknown, shows: int = 0) -> Event:
    """Return the answer to our amend."""

    def play(teller: Teller) -> bool:
        teller.intake.on_amend_answer(CLIENT, Action.AMEND, outcome, teller.now)
        return True

    return Event("amend_answer", play, shows, ("amend_sent",))


def early_read(number: int, *after: str, is_listing: bool = False) -> Event:
    """Return a read that began before everything, and shows some version, however old."""

    def play(teller: Teller) -> bool:
        (teller.list_resting if is_listing else teller.read)(number, START_NS)
        return True

    return Event(f"early{number}", play, number, after)


def late_read(number: int, *after: str, is_listing: bool = False) -> Event:
    """Return a read that began a read lag after all that was told and asked: it is no older than that."""

    def play(teller: Teller) -> bool:
        if not teller.known <= number <= teller.reachable:
            return False
        teller.pass_time(3 * LAG_NS)
        (teller.list_resting if is_listing else teller.read)(number, teller.now.ns)
        return True

    return Event(f"late{number}", play, number, after)


def orders_of(events: Sequence[Event], *, fifo: bool = False) -> Iterator[tuple[Event, ...]]:
    """Yield every order of events in which nothing comes before what it needs.

    ``fifo`` keeps the messages of one channel in their order, as one connection does.
    """
    for order in itertools.permutations(events):
        seen: set[str] = set()
        for event in order:
            if any(needed not in seen for needed in event.after):
                break
            seen.add(event.name)
        else:
            if not fifo or _keeps_channels(order):
                yield order


def _keeps_channels(order: Sequence[Event]) -> bool:
    for channel in ("feed", "fill"):
        told = [event.shows for event in order if event.name.startswith(channel)]
        if told != sorted(told):
            return False
    return True


def run_one(history: History, order: Sequence[Event], *, twice: bool = False) -> Teller | None:
    """Tell the events in this order, checking after each; return None where the order can not be.

    ``twice`` repeats everything that was heard once more, which may change nothing.
    """
    teller = Teller(history)
    filled = 0
    for event in order:
        teller.pass_time(1_000_000)
        if event.shows > teller.reachable or not event.play(teller):
            return None
        teller.done.add(event.name)
        teller.known = max(teller.known, event.shows)
        check_step(teller)
        assert teller.order.filled_e2 >= filled, "counts never fall"
        filled = teller.order.filled_e2
    settle_by_reads(teller)
    check_end(teller)
    if twice:
        for event in order:
            if event.name.startswith(("feed", "fill", "early")):
                teller.pass_time(1_000_000)
                event.play(teller)
        settle_by_reads(teller)
        check_end(teller)
    return teller


def check_step(teller: Teller) -> None:
    """Nothing that may be is believed not to be, and the worst case covers all that may be."""
    order, versions = teller.order, teller.history.versions
    may_be = versions[teller.known : max(teller.known, teller.reachable) + 1]
    if not order.is_live:
        assert versions[teller.known].status is not RESTING, "thought dead, and it rests"
    worst = max(version.reach for version in may_be)
    assert order.open_e2 + order.booked_e2 >= worst, "worst case too small"
    prices = [version.price for version in may_be if version.remaining]
    if prices and order.is_live:
        assert order.worst_price_e4 >= max(prices), "worst price too good"


def settle_by_reads(teller: Teller) -> None:
    """Do what the shell does with an order that is open: read it, well after the last word, until settled."""
    last = len(teller.history.versions) - 1
    for _ in range(8):
        order, positions = teller.order, teller.account.positions
        teller.pass_time(2 * LAG_NS)
        if order in teller.intake.missing_fills(teller.now) or positions.parked():
            for number, version in enumerate(teller.history.versions):
                if version.fill:
                    teller.intake.on_fill(teller.fill(number, is_named=False), teller.now)
        if not (order.is_unknown or order.look_up):
            return
        teller.read(last, teller.now.ns)


def check_end(teller: Teller) -> None:
    """What is believed is what is so, without any further word."""
    order, truth = teller.order, teller.history.versions[-1]
    assert order.state is _state_of(truth), (order.state, truth)
    assert order.filled_e2 == truth.filled
    assert order.booked_e2 == truth.filled == teller.account.positions.qty_e2(MARKET)
    assert order.remaining_e2 == truth.remaining
    assert order.open_e2 == truth.remaining
    assert not order.look_up
    if truth.status is RESTING:
        assert order.price_e4 == truth.price
    if truth.status is not None:
        assert order.order_id == VENUE_ID
    counters = teller.account.counters
    assert (counters["orphans"], counters["duplicates"]) == (0, 0)


def _state_of(version: Version) -> OrderState:
    if version.status is None:
        return OrderState.REFUSED
    if version.status is RESTING:
        return OrderState.PARTLY_FILLED if version.filled else OrderState.RESTING
    return OrderState.EXECUTED if version.status is EXECUTED else OrderState.CANCELLED
