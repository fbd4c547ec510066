"""The account as the executor knows it: one place for all its state, no decisions."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.domain.grid import MalformedGrid, PriceGrid
from libs.common.messages.execution import AuditExecV1, OrderGroupV1
from libs.common.messages.market import MarketState, MarketV1
from services.executor.core.effects import Effect, PublishPosition, RecordAudit, RecordOrder, TakeOver
from services.executor.core.gate import Gate
from services.executor.core.journal import JournalWriter
from services.executor.core.orders import OwnOrder, OwnOrders
from services.executor.core.planner import MarketNow
from services.executor.core.positions import Positions
from services.executor.core.queue_place import QueuePlaces
from services.executor.core.risk_desk import Holding, RiskDesk
from services.executor.core.target_store import TargetStore

_DEAD = (MarketState.CLOSED, MarketState.DETERMINED, MarketState.DISPUTED, MarketState.AMENDED)
_PAID = (MarketState.DETERMINED, MarketState.AMENDED, MarketState.FINALIZED)


@dataclass(frozen=True, slots=True)
class Now:
    """The clocks of one step: monotonic, wall as exchange time, and the age of our own echo."""

    ns: int
    ms: int
    echo_age_ns: int = 0


@dataclass(slots=True)
class Account:
    """Orders, positions, targets, markets, groups and counters of one account.

    Attributes:
        groups: Order groups of the present epoch: shard to id. Never one of an older epoch.
        groups_asked: Shards whose group is being made.
        groups_dead: Groups whose trigger was confirmed: no order can rest in one or join it, for ever.
        dirty: Markets that the next planning pass looks at.
        filled_ns: When a fill last changed a market's position, by our monotonic clock.
        hold_until_ns: Markets that must wait after refusals, and until when.
        cancelled_venue: Orders found at the venue that we did not know: ids that were cancelled.
    """

    name: str
    run: str
    gate: Gate
    journal: JournalWriter
    orders: OwnOrders
    positions: Positions
    desk: RiskDesk
    targets: TargetStore = field(default_factory=TargetStore)
    status: dict[str, MarketV1] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)
    groups_asked: set[int] = field(default_factory=set)
    groups_dead: set[str] = field(default_factory=set)
    dirty: set[str] = field(default_factory=set)
    filled_ns: dict[str, int] = field(default_factory=dict)
    hold_until_ns: dict[str, int] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    orphans: dict[str, int] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    second_ids: set[str] = field(default_factory=set)
    """Venue ids of second orders under one of our ids."""
    places: QueuePlaces = field(default_factory=QueuePlaces)
    wall_offset_ns: int = 0
    _grids: dict[str, tuple[MarketV1, PriceGrid | None]] = field(default_factory=dict)
    recent_audits: deque[tuple[str, str, str]] = field(default_factory=lambda: deque(maxlen=256))

    def event_of(self, market: str) -> str:
        """Return the market's event, or while nobody told, the one that its ticker begins with.

        Until somebody tells, its worst case adds up with the event's: a market by itself would be
        missing from the event's cap, one that is shared by mistake only makes that tighter.
        """
        status = self.status.get(market)
        if status is not None:
            return status.event
        top = self.gate.top(market)
        return top.event if top is not None else market.rpartition("-")[0] or market

    def shard_of(self, market: str) -> int | None:
        """Return the market's shard, or None while unknown."""
        status = self.status.get(market)
        if status is not None:
            return status.shard
        top = self.gate.top(market)
        return top.shard if top is not None else None

    def holding(self, market: str, without: Sequence[OwnOrder] = ()) -> Holding:
        """Return what the desk counts of a market, without some of its orders."""
        status = self.status.get(market)
        return Holding(
            position_e2=self.positions.qty_e2(market),
            cost_e6=self.positions.cost_e6(market),
            opened=self.orders.opened(market, without=without),
            shard=self.shard_of(market),
            is_exclusive=status.is_exclusive_event if status is not None else None,
            cash_e6=self.positions.cash_e6(market),
        )

    def market_now(self, market: str, now: Now) -> MarketNow:
        """Return the market as the planner sees it."""
        status, top = self.status.get(market), self.gate.top(market)
        close_ms = top.close_ms if top is not None else status.close_ms if status is not None else None
        state = top.state if top is not None else status.state if status is not None else None
        is_open = (close_ms is None or close_ms > now.ms) and state not in (*_DEAD, MarketState.FINALIZED)
        return MarketNow(
            market=market,
            grid=self.grid_of(market),
            bid_e4=top.bid_e4 if top is not None else None,
            ask_e4=top.ask_e4 if top is not None else None,
            is_open=is_open,
            now_ms=now.ms,
            bid_e2=top.bid_e2 if top is not None else 0,
            ask_e2=top.ask_e2 if top is not None else 0,
            ahead_e2=self.places.of(self.orders.of_market(market)) if self.places.is_used else {},
        )

    def grid_of(self, market: str) -> PriceGrid | None:
        """Return the market's price grid, or None while unknown or unreadable."""
        status = self.status.get(market)
        if status is None:
            return None
        held = self._grids.get(market)
        if held is not None and held[0] is status:
            return held[1]
        try:
            grid = PriceGrid.of(status.grid)
        except MalformedGrid:
            grid = None
        self._grids[market] = (status, grid)
        return grid

    def is_paid(self, market: str) -> bool:
        """Return whether the venue has determined the market, so that a settlement is due."""
        status = self.status.get(market)
        return status is not None and status.state in _PAID

    def is_over(self, status: MarketV1) -> bool:
        """Return whether a market is final and nothing of ours is left in it: memory is bounded (I12)."""
        market = status.market
        return (
            status.state is MarketState.FINALIZED
            and not self.positions.qty_e2(market)
            and not self.orders.is_working(market)
        )

    def forget(self, market: str) -> None:
        """Drop what is held of a market that is over; what it earned stays in the sums."""
        self.status.pop(market, None)
        self._grids.pop(market, None)
        self.filled_ns.pop(market, None)
        self.hold_until_ns.pop(market, None)
        self.dirty.discard(market)
        self.targets.forget(market)
        self.orders.forget_market(market)
        self.gate.forget(market)

    def known_markets(self) -> set[str]:
        """Return every market that needs a position message."""
        return (
            self.status.keys() | self.targets.markets() | self.orders.markets() | self.positions.open_markets
        )

    def group(self, group: OrderGroupV1) -> None:
        """Take a journalled group of this epoch into use."""
        assert group.epoch == self.journal.epoch, group
        self.groups[group.shard] = group.order_group_id
        self.groups_asked.discard(group.shard)

    def take_over(self, reason: str, *, is_fuse: bool = False) -> Effect:
        """Close the gate until this process leads a new epoch with new groups."""
        self.gate.is_recovered = False
        return TakeOver(reason, is_fuse)

    def touched(self, market: str, now: Now) -> list[Effect]:
        """Return what everyone must hear after a market's orders or position changed."""
        self.desk.refresh(market, self.event_of(market), self.holding(market), now.ns)
        self.dirty.add(market)
        self.wall_offset_ns = now.ms * 1_000_000 - now.ns
        return self.position_effects(market)

    def position_effects(self, market: str) -> list[Effect]:
        """Return the market's position, to be published; nothing before it is known.

        A process that has not read its journal yet would say flat, and be believed.
        """
        if not (self.gate.is_recovered or self.gate.is_rebuilt):
            return []
        message = self.positions.message(
            market, self.orders.of_market(market), has_unknown=self.orders.has_unknown(market)
        )
        return [PublishPosition(message)]

    def order_effect(self, order: OwnOrder) -> Effect:
        """Return the order's newest state, to be journalled."""
        return RecordOrder(order.message(self.name, self.wall_offset_ns))

    def audit(
        self,
        event_type: str,
        now: Now,
        *,
        market: str,
        order: OwnOrder | None = None,
        decision_id: str = "",
        reason: str = "",
        status: str = "",
        rule: tuple[str, int, int] = ("", 0, 0),
        unit: str = "",
        latency_us: int = 0,
        by: str = "",
    ) -> Effect:
        """Return an execution event for the audit stream."""
        return RecordAudit(
            AuditExecV1(
                event_type=event_type,
                account=self.name,
                run=self.run,
                epoch=self.journal.epoch,
                decision_id=order.decision_id if order is not None else decision_id,
                market=market,
                client_order_id=order.client_order_id if order is not None else "",
                order_id=order.order_id if order is not None else "",
                side=order.side.value if order is not None else "",
                price_e4=order.price_e4 if order is not None else 0,
                qty_e2=order.total_e2 if order is not None else 0,
                status=status,
                latency_us=latency_us,
                rule=rule[0],
                limit=rule[1],
                was=rule[2],
                unit=unit,
                reason=reason,
                event_ns=now.ms * 1_000_000,
                by=by,
            )
        )
