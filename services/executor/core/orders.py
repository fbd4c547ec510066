"""Every order of ours that may exist, by its own id and by the venue's.

An order enters when it is planned and leaves memory long after it ended, so
that late evidence still finds it. What may yet fill is always counted at its
worst: in flight, unknown, and fills that the venue told of but which have not
been booked as positions (design rule 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from libs.common.domain.side import Side
from libs.common.messages.execution import OrderState, OrderV1, Purpose
from libs.common.risk.exposure import Open
from services.executor.core.order_life import IN_FLIGHT, TERMINAL, Evidence, settle, step

_KEEP_ENDED_NS = 900_000_000_000


@dataclass(slots=True)
class OwnOrder:
    """One order.

    Attributes:
        total_e2: Quantity that the order is for, after accepted amends and decreases.
        filled_e2: Filled as told by anyone; never falls.
        booked_e2: Filled and counted in the position, fill by fill.
        pending_price_e4: Price asked for by an amend without answer.
        pending_total_e2: Total asked for by an amend or decrease without answer.
        look_up: True when an answer left the order's fate open and it must be read.
        asked_ns: When the newest request left, for reads that must begin after it.
        heard_ms: Venue time of the newest word about it.
        unknown_ns: Since when it is unknown.
        misses: Clean reads in a row that did not show it, or not as it was asked to become.
        changes_open: Amends and decreases of it whose answer has not come.
        cancels_open: Cancels of it whose answer has not come.
        strategy: Whose quote it is, as its target said; empty where nobody knows.
        purpose: Why it exists; the planner moves and cancels those of `MAKER` only.
        paid_e6: Price times quantity of its booked fills.
        fees_e6: What they cost in fees.
        created_ns: When this process first had evidence of it.
        behind: Orders whose cancels must be confirmed before this one may leave. While one of them
            lives and no byte of this one has left, it can not fill: it counts nothing.
    """

    client_order_id: str
    market: str
    event: str
    shard: int
    side: Side
    price_e4: int
    initial_e2: int
    total_e2: int
    epoch: int
    decision_id: str
    order_group_id: str
    expires_ms: int
    state: OrderState = OrderState.PLANNED
    order_id: str = ""
    filled_e2: int = 0
    booked_e2: int = 0
    pending_price_e4: int | None = None
    pending_total_e2: int | None = None
    pending_expires_ms: int | None = None
    look_up: bool = False
    reason: str = ""
    version: int = 0
    asked_ns: int = 0
    answered_ns: int = 0
    heard_ms: int = 0
    updated_ns: int = 0
    unknown_ns: int = 0
    misses: int = 0
    changes_open: int = 0
    cancels_open: int = 0
    strategy: str = ""
    purpose: Purpose = Purpose.MAKER
    paid_e6: int = 0
    fees_e6: int = 0
    created_ns: int = 0
    behind: tuple[OwnOrder, ...] = field(default=(), repr=False, compare=False)

    @property
    def is_waiting(self) -> bool:
        """Return whether it may not leave yet, because an order that it must follow may still rest."""
        return self.state is OrderState.INTENDED and any(order.is_live for order in self.behind)

    @property
    def is_live(self) -> bool:
        """Return whether something of it may rest."""
        return self.state not in TERMINAL

    @property
    def is_in_flight(self) -> bool:
        """Return whether a request about it has no answer yet."""
        return self.state in IN_FLIGHT

    @property
    def is_unanswered(self) -> bool:
        """Return whether an answer to a change or a cancel is still to come: a read proves no end of that."""
        return bool(self.changes_open or self.cancels_open)

    @property
    def is_cancel_lost(self) -> bool:
        """Return whether its cancel had an answer that proved nothing: asking again is safe."""
        return self.state is OrderState.CANCEL_PENDING and not self.cancels_open

    @property
    def is_change_open(self) -> bool:
        """Return whether a change was asked for and nobody knows yet whether it came to be."""
        return self.pending_total_e2 is not None

    @property
    def is_unknown(self) -> bool:
        """Return whether only evidence can say what it is."""
        return self.state is OrderState.UNKNOWN

    @property
    def remaining_e2(self) -> int:
        """Return what rests if it lives, else 0."""
        return max(0, self.total_e2 - self.filled_e2) if self.is_live else 0

    @property
    def open_e2(self) -> int:
        """Return what may still change the position: unfilled if live, and told but not booked."""
        if self.is_waiting:
            return 0
        reach = max(self.total_e2, self.pending_total_e2 or 0) if self.is_live else 0
        return max(0, max(reach, self.filled_e2) - self.booked_e2)

    @property
    def worst_price_e4(self) -> int:
        """Return the dearer of the present and the asked price."""
        if self.pending_price_e4 is None:
            return self.price_e4
        return (max if self.side is Side.BID else min)(self.price_e4, self.pending_price_e4)

    def message(self, account: str, wall_offset_ns: int) -> OrderV1:
        """Return the newest state for the journal; the offset turns our monotonic time into Unix time."""
        return OrderV1(
            account=account,
            market=self.market,
            shard=self.shard,
            client_order_id=self.client_order_id,
            order_id=self.order_id,
            decision_id=self.decision_id,
            epoch=self.epoch,
            side=self.side,
            price_e4=self.price_e4,
            initial_e2=self.initial_e2,
            filled_e2=self.filled_e2,
            remaining_e2=self.remaining_e2,
            state=self.state,
            reason=self.reason,
            version=self.version,
            order_group_id=self.order_group_id,
            updated_ns=self.updated_ns + wall_offset_ns,
            purpose=self.purpose,
            created_ns=self.created_ns + wall_offset_ns,
        )


@dataclass(slots=True)
class OwnOrders:
    """The book of our own orders; every change goes through :meth:`apply`.

    Ended orders stay for late evidence, by the thousand on a busy day; what the hot path
    asks for is answered from the few that may still rest or whose fills are not all booked.
    """

    _by_client: dict[str, OwnOrder] = field(default_factory=dict)
    _by_order: dict[str, OwnOrder] = field(default_factory=dict)
    _working: dict[str, dict[str, OwnOrder]] = field(default_factory=dict)
    revived: int = 0
    """Orders thought dead that turned out alive."""

    def add(self, order: OwnOrder) -> None:
        """Take a new order; its client order id must be new."""
        assert order.client_order_id not in self._by_client, f"a new client order id, was {order}"
        self._by_client[order.client_order_id] = order
        self._sort(order)
        if order.order_id:
            self._by_order[order.order_id] = order

    def by_client(self, client_order_id: str) -> OwnOrder | None:
        """Return the order with our id, or None."""
        return self._by_client.get(client_order_id)

    def by_order(self, order_id: str) -> OwnOrder | None:
        """Return the order with the venue's id, or None."""
        return self._by_order.get(order_id)

    def name(self, order: OwnOrder, order_id: str) -> bool:
        """Learn the venue's id; return False where the order already has another one: a duplicate."""
        if not order_id or order.order_id == order_id:
            return True
        if order.order_id:
            return False
        order.order_id = order_id
        self._by_order[order_id] = order
        return True

    def apply(
        self,
        order: OwnOrder,
        evidence: Evidence,
        now_ns: int,
        *,
        filled_e2: int | None = None,
        total_e2: int | None = None,
        price_e4: int | None = None,
        reason: str = "",
    ) -> bool:
        """Take one piece of evidence and return whether anything that others see changed."""
        before = _shown(order)
        order.created_ns = order.created_ns or now_ns
        _count_requests(order, evidence)
        was_live, was_unknown = order.is_live, order.is_unknown
        if filled_e2 is not None:
            order.filled_e2 = max(order.filled_e2, filled_e2)
        if total_e2 is not None:
            order.total_e2 = total_e2
        if price_e4 is not None:
            order.price_e4 = price_e4
        # A larger total that is asked for may hold already: filled to the old one is not the end.
        reach_e2 = max(order.total_e2, order.pending_total_e2 or 0)
        if evidence is Evidence.FILLED and order.filled_e2 >= reach_e2:
            evidence = Evidence.FILLED_WHOLE
        state = step(order.state, evidence)
        whole_e2 = reach_e2 if state is OrderState.CANCEL_PENDING else order.total_e2
        order.state = settle(state, order.filled_e2, whole_e2)
        self.revived += order.is_live and not was_live
        _tidy(order, now_ns, was_unknown=was_unknown)
        self._sort(order)
        if _shown(order) == before and order.version:
            return False
        order.version += 1
        order.updated_ns = now_ns
        if reason:
            order.reason = reason
        return True

    def of_market(self, market: str) -> list[OwnOrder]:
        """Return the market's orders that may rest."""
        return [order for order in self._working.get(market, {}).values() if order.is_live]

    def live(self) -> Iterator[OwnOrder]:
        """Yield every order that may rest."""
        return (order for orders in self._working.values() for order in orders.values() if order.is_live)

    def all(self) -> Iterator[OwnOrder]:
        """Yield every order in memory, ended ones included."""
        return iter(self._by_client.values())

    def unresolved(self) -> list[OwnOrder]:
        """Return the orders that must be looked up, unknown ones among them."""
        return [order for order in self.live() if order.is_unknown or order.look_up]

    def markets(self) -> set[str]:
        """Return the markets with orders that may rest."""
        return {order.market for order in self.live()}

    def is_working(self, market: str) -> bool:
        """Return whether something of the market may rest, or fills of it are not booked yet."""
        return bool(self._working.get(market))

    def forget_market(self, market: str) -> None:
        """Drop the place of a market where nothing works any more."""
        assert not self._working.get(market), market
        self._working.pop(market, None)

    def has_unknown(self, market: str) -> bool:
        """Return whether the market is in quarantine."""
        return any(order.is_unknown for order in self._working.get(market, {}).values())

    def opened(self, market: str, *, without: Sequence[OwnOrder] = ()) -> list[Open]:
        """Return everything of the market that may still fill, at its worst."""
        return [
            Open(order.side, order.worst_price_e4, order.open_e2)
            for order in self._working.get(market, {}).values()
            if order.open_e2 and all(order is not one for one in without)
        ]

    def exiting_e2(self, market: str, side: Side) -> int:
        """Return what exits of the market on this side may still close, unbooked fills included."""
        working = self._working.get(market, {}).values()
        return sum(o.open_e2 for o in working if o.side is side and o.purpose is Purpose.EXIT)

    def forget_ended(self, now_ns: int) -> None:
        """Drop quotes that ended long ago and whose fills are all booked.

        What people asked for stays: it is little, and a request that is asked again after hours must
        still be told what its order was.
        """
        ended = [
            order
            for order in self._by_client.values()
            if not order.is_live
            and order.purpose is Purpose.MAKER
            and order.booked_e2 >= order.filled_e2
            and now_ns - order.updated_ns > _KEEP_ENDED_NS
        ]
        for order in ended:
            del self._by_client[order.client_order_id]
            self._by_order.pop(order.order_id, None)

    # Ended orders whose fills are all booked leave the working set; late evidence brings them back.
    def _sort(self, order: OwnOrder) -> None:
        if order.is_live or order.open_e2:
            self._working.setdefault(order.market, {})[order.client_order_id] = order
        elif (working := self._working.get(order.market)) is not None:
            working.pop(order.client_order_id, None)


def _shown(order: OwnOrder) -> tuple[OrderState, int, int, int, str]:
    # What others see of an order: a change of these makes a new version.
    return (order.state, order.filled_e2, order.total_e2, order.price_e4, order.order_id)


_CHANGE_ANSWERED = (Evidence.AMEND_ACCEPTED, Evidence.AMEND_REFUSED, Evidence.AMEND_UNANSWERED)
_CANCEL_ANSWERED = (Evidence.CANCEL_ACCEPTED, Evidence.CANCEL_NOT_DONE)


def _count_requests(order: OwnOrder, evidence: Evidence) -> None:
    if evidence is Evidence.AMEND_SENT:
        order.changes_open += 1
    elif evidence is Evidence.CANCEL_SENT:
        order.cancels_open += 1
    elif evidence in _CHANGE_ANSWERED:
        order.changes_open = max(0, order.changes_open - 1)
    elif evidence in _CANCEL_ANSWERED:
        # The kill ladder cancels without asking the book, so an answer may have no request here.
        order.cancels_open = max(0, order.cancels_open - 1)


def _tidy(order: OwnOrder, now_ns: int, *, was_unknown: bool) -> None:
    if order.is_unknown and not was_unknown:
        order.unknown_ns, order.misses, order.look_up = now_ns, 0, True
    if not order.is_in_flight and not order.is_unknown:
        order.pending_price_e4 = order.pending_total_e2 = order.pending_expires_ms = None
    if not order.is_live:
        order.look_up = False
    if order.state is not OrderState.INTENDED:
        # It has left, or never will; kept, each order would hold all that went before it in memory.
        order.behind = ()
