"""The reconciler's decisions: when to compare, what the comparison says, whether trading may go on.

Rules of the file:

* One comparison at a time; what is asked for meanwhile happens right after.
* The permit is closed until the first comparison in which nothing at all is
  open, again after every new epoch, and while anything that counts is open.
* A difference that is seen for the first time is looked at again after
  ``confirm_ns``, not a cycle later; so is what the two streams disagree on.
* One halt a comparison names all that halts now and has not halted before; what
  went away and comes back is new.
* A reading without a balance says nothing about money: what was known of it
  stands, and agreement needs a balance that is not older than agreement may be.
* Before anybody has led, an order with our prefix is unexplained, and there is
  no genesis balance to prove cash against.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from libs.common.env import Env
from libs.common.kalshi.model import FeedClosed, FeedEvent
from libs.common.messages.execution import EpochV1, FillV1, IntentV1, OrderV1, PositionV1, RenewV1
from libs.common.messages.risk import (
    DriftV1,
    OrphanAskV1,
    OrphanedOrderV1,
    OrphanV1,
    ReconResultV1,
)
from services.reconciler.core.agreed import Agreed
from services.reconciler.core.compare import Moment, compare
from services.reconciler.core.diff import Difference, Kind
from services.reconciler.core.drop_copy_view import DropCopyView, resting
from services.reconciler.core.effects import AskCancel, Effect, Halt, Log, Publish, Read, Record
from services.reconciler.core.executor_view import ExecutorView
from services.reconciler.core.listing_view import Listing, ListingView
from services.reconciler.core.orphans import Orphans
from services.reconciler.core.policy import (
    ASKS_EXECUTOR,
    HALTS,
    Action,
    action_for,
    closes_permit,
    is_unclaimed,
    needs_executor,
)
from services.reconciler.core.report import (
    drift_of,
    fields_of,
    halt_of,
    is_ghost,
    order_orphan_of,
    position_orphan_of,
    result_of,
    text_of,
)
from services.reconciler.core.settle import Key, Ripe, Ripening
from services.reconciler.core.stream_watch import StreamWatch, glance

_MS = 1_000_000
_OVERLAP_MS = 60_000
"""Fills are read again this far back: reads lag, and `min_ts` counts whole seconds."""
_FEED_SILENCE_NS = 5_000_000_000
_ERRORS_MAX = 10
_GLANCE_NS = 250_000_000
_BALANCE_WAIT_MS = 2_500
_BALANCE_WAIT_QUICK_MS = 500
"""The balance allows one look a second for the whole account, and the executor looks too."""
_QUICK = frozenset({"anomaly", "confirm"})
_UNREAD_CASH = frozenset({Kind.CASH})

DRIFT_MESSAGE = "Order state drift detected"
"""The exact phrase of requirement A-087."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The timing of `config.Timing`, in the core's units."""

    cycle_ns: int
    cycle_min_ns: int
    settle_ms: int
    confirm_ns: int
    confirm_cycles: int
    fresh_cycles: int
    escalate_cycles: int
    executor_silence_ns: int
    recovery_ns: int
    in_flight_ns: int
    halt_after_ns: int


@dataclass(slots=True)
class Counters:
    """What the status shows."""

    cycles: int = 0
    failed_cycles: int = 0
    drifts: int = 0
    orphaned_detected: int = 0
    ghost_detected: int = 0
    halts: int = 0


@dataclass(slots=True)
class ReconcilerCore:
    """One account's agreement."""

    account: str
    env: Env
    patience: Patience
    executor: ExecutorView = field(init=False)
    drop_copy: DropCopyView = field(init=False)
    listing: ListingView = field(default_factory=ListingView)
    orphans: Orphans = field(init=False)
    counters: Counters = field(default_factory=Counters)
    last_result: ReconResultV1 | None = None
    _ripening: Ripening = field(init=False)
    _watch: StreamWatch = field(init=False)
    _done: Agreed = field(default_factory=Agreed)
    _glanced_ns: int = 0
    _confirm_ns: int | None = None
    _confirms_left: int = field(init=False)
    _cash_ns: int | None = None
    _is_replayed: bool = False
    _is_reading: bool = False
    _wanted: str = "start"
    _started_ns: int | None = None
    _agreed_ns: int | None = None
    _is_barred: bool = True
    _open: tuple[str, ...] = ()
    _ripe: dict[Key, Action] = field(default_factory=dict)
    _halted_for: set[Key] = field(default_factory=set)
    _asked_for: set[Key] = field(default_factory=set)
    _errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        patience = self.patience
        self.executor = ExecutorView(
            patience.executor_silence_ns, patience.recovery_ns, patience.in_flight_ns, self._done
        )
        self.drop_copy = DropCopyView(self._done)
        self.orphans = Orphans(self.account)
        self._ripening = Ripening(patience.confirm_cycles, patience.confirm_ns)
        self._watch = StreamWatch(patience.settle_ms * _MS)
        self._confirms_left = 2 * patience.confirm_cycles

    # What the witnesses say ------------------------------------------------------------------------

    def on_epoch(self, epoch: EpochV1, sequence: int, now_ns: int) -> list[Effect]:
        """Take an epoch; a new leader raises the barrier again."""
        if self.executor.genesis_ms is None and epoch.genesis_ms is not None:
            self.listing.on_genesis(epoch.genesis_ms)
        if not self.executor.on_epoch(epoch, sequence, now_ns):
            return []
        self._is_barred = True
        return self._want("anomaly", now_ns)

    def on_renew(self, renew: RenewV1, now_ns: int) -> list[Effect]:
        """Take the leader's sign of life."""
        self.executor.on_renew(renew, now_ns)
        return []

    def on_intent(self, intent: IntentV1, sequence: int, now_ns: int) -> list[Effect]:
        """Take a journalled batch."""
        self.executor.on_intent(intent, sequence, now_ns)
        return []

    def on_order(self, order: OrderV1, sequence: int, now_ns: int) -> list[Effect]:
        """Take an order's newest state."""
        self.executor.on_order(order, sequence, now_ns)
        return []

    def on_fill(self, fill: FillV1) -> list[Effect]:
        """Take a fill that the executor counted."""
        self.executor.on_fill(fill)
        return []

    def on_position(self, position: PositionV1, now_ns: int) -> list[Effect]:
        """Take the executor's claim about a position."""
        self.executor.on_position(position, now_ns)
        return []

    def on_feed(self, event: FeedEvent, now_ns: int) -> list[Effect]:
        """Take one event of the own private feed; a reconnect is an anomaly."""
        was_whole = self.drop_copy.connected_ms is not None
        self.drop_copy.on_event(event, now_ns)
        if not was_whole and self.drop_copy.connected_ms is not None:
            connected = Log("FEED_CONNECTED", "own private feed is whole", "INFO")
            return [connected, *(self._want("anomaly", now_ns) if self._started_ns is not None else ())]
        if isinstance(event, FeedClosed) and was_whole:
            fields = {"reason": event.reason}
            return [Log("FEED_DISCONNECTED", "own private feed is gone", "WARNING", fields)]
        return []

    # When to compare -------------------------------------------------------------------------------

    def on_replayed(self, now_ns: int) -> list[Effect]:
        """Take the news that the executor's stored events were read whole; nothing is compared before."""
        self._is_replayed = True
        return self._read_if_due(now_ns)

    def on_tick(self, now_ns: int) -> list[Effect]:
        """Start a comparison when one is due."""
        if self._started_ns is not None and now_ns - self._started_ns >= self.patience.cycle_ns:
            self._wanted = self._wanted or "timer"
        if self._confirm_ns is not None and now_ns >= self._confirm_ns:
            self._confirm_ns, self._wanted = None, self._wanted or "confirm"
        if self._is_disputed(now_ns):
            self._wanted = self._wanted or "anomaly"
        return self._read_if_due(now_ns)

    def on_request(self, reason: str, now_ns: int) -> list[Effect]:
        """Ask for a comparison; it starts at once unless one is running."""
        self._wanted = reason
        return self._read_if_due(now_ns, is_urgent=True)

    def on_read_failed(self, reason: str, now_ns: int) -> list[Effect]:
        """Take the news that the venue could not be read."""
        self._is_reading = False
        self.counters.failed_cycles += 1
        self._errors = [*self._errors, reason][-_ERRORS_MAX:]
        if self._confirms_left:
            # What asked for it still waits; a venue that stays away is asked once a cycle.
            self._confirms_left -= 1
            self._confirm_ns = now_ns + self.patience.confirm_ns
        log = Log("VENUE_ERROR", "the venue could not be read", "WARNING", {"reason": reason})
        return [log, *self._read_if_due(now_ns)]

    def on_orphan_stored(self, row: OrphanedOrderV1) -> list[Effect]:
        """Take a row of the register that was written before this start."""
        self.orphans.on_stored(row)
        return []

    def on_resolve(self, ask: OrphanAskV1, now_ms: int) -> tuple[list[Effect], OrphanedOrderV1 | str]:
        """Take a person's decision about an orphan; the answer is the row, or why not."""
        answer = self.orphans.resolve(ask, now_ms)
        if isinstance(answer, str):
            return [], answer
        fields = {"id": answer.id, "action": answer.resolution_action, "by": answer.user_id}
        return [Record(answer), Log("ORPHAN_RESOLVED", answer.reason, "WARNING", fields)], answer

    # What it says ----------------------------------------------------------------------------------

    def on_listing(self, listing: Listing, reason: str, now_ns: int) -> list[Effect]:
        """Compare the three witnesses and act on what counts."""
        self._is_reading = False
        self.counters.cycles += 1
        if listing.balance is not None:
            self._cash_ns = listing.started_ns
        self.listing.take(listing, self.patience.settle_ms)
        self.executor.bury(now_ns, listing.started_ns - self.patience.settle_ms * _MS)
        comparison = compare(
            self.env,
            self.executor,
            self.drop_copy,
            self.listing,
            listing,
            Moment(now_ns, self.patience.settle_ms, self.patience.recovery_ns),
        )
        for key, venue_ms in comparison.agreed.items():
            self._done.add(key, venue_ms)
            for view in (self.executor, self.drop_copy, self.listing):
                view.agreed(key)
        unread = frozenset() if listing.balance is not None else _UNREAD_CASH
        ripe, unripe = self._ripening.cycle(comparison.differences, listing.started_ns, unread)
        self._plan_confirmation(listing, reason, is_needed=bool(unripe))
        ripe, green = self._testified(ripe, unripe)
        effects, drifts = self._act(ripe, listing.started_ms)
        open_now = tuple(text_of(r.difference) for r in ripe if closes_permit(r.difference))
        is_pending = any(closes_permit(difference) for difference in green)
        # Agreement is as old as the reading, not as the answer.
        is_whole = self._saw_epoch(listing) and self._knows_cash(listing.started_ns)
        if not open_now and not (self._is_barred and is_pending) and is_whole:
            self._agreed_ns = listing.started_ns
            self._is_barred = False
        self._open = open_now
        untold = listing.untold if listing.balance is not None else ("the balance was not told",)
        settling = (f"settling: {text_of(difference)}" for difference in green)
        errors = (*self._errors, *untold, *settling)[:_ERRORS_MAX]
        self._errors = []
        orphans = [entry for item in ripe if (entry := self._orphan_of(item.difference)) is not None]
        result = result_of(
            self.account,
            self.counters.cycles,
            self.epoch,
            reason,
            listing,
            comparison,
            drifts,
            orphans,
            sum(is_ghost(item.difference) for item in ripe),
            errors,
            now_ns,
        )
        self.last_result = result
        return [Publish(result, is_clear=not drifts), *effects, *self._read_if_due(now_ns)]

    @property
    def epoch(self) -> int:
        """Return the number of the newest epoch, 0 if nobody has led."""
        return 0 if self.executor.epoch is None else self.executor.epoch.number

    def permit(self, now_ns: int) -> tuple[bool, tuple[str, ...]]:
        """Return whether trading may go on, and every reason why not."""
        reasons: list[str] = []
        fresh_ns = self.patience.fresh_cycles * self.patience.cycle_ns
        if self._is_barred:
            reasons.append("no agreement yet in this epoch")
        elif self._agreed_ns is None or now_ns - self._agreed_ns > fresh_ns:
            reasons.append("the last agreement is too old")
        reasons.extend(self._open)
        if not self.drop_copy.is_heard(now_ns, _FEED_SILENCE_NS):
            reasons.append("own private feed is silent")
        if self.executor.epoch is not None and not self.executor.is_alive(now_ns):
            reasons.append("the executor is silent")
        return not reasons, tuple(reasons)

    # Below: how ------------------------------------------------------------------------------------

    def _want(self, reason: str, now_ns: int) -> list[Effect]:
        self._wanted = self._wanted or reason
        return self._read_if_due(now_ns)

    def _read_if_due(self, now_ns: int, *, is_urgent: bool = False) -> list[Effect]:
        if self._is_reading or not self._wanted or not self._is_replayed:
            return []
        is_too_soon = self._started_ns is not None and now_ns - self._started_ns < self.patience.cycle_min_ns
        if is_too_soon and not is_urgent:
            return []
        reason, self._wanted = self._wanted, ""
        self._is_reading, self._started_ns = True, now_ns
        until_ms = self.listing.fills_listed_until_ms
        wait_ms = _BALANCE_WAIT_QUICK_MS if reason in _QUICK else _BALANCE_WAIT_MS
        return [Read(reason, max(0, until_ms - _OVERLAP_MS) if until_ms else None, wait_ms)]

    def _saw_epoch(self, listing: Listing) -> bool:
        return self.executor.epoch is None or listing.started_ns >= self.executor.epoch_ns

    def _act(self, ripe: list[Ripe], now_ms: int) -> tuple[list[Effect], list[DriftV1]]:
        effects: list[Effect] = []
        drifts: list[DriftV1] = []
        actions: dict[Key, Action] = {}
        halting: list[Difference] = []
        unknown: dict[Action, list[str]] = {}
        for item in ripe:
            difference = item.difference
            key = (difference.kind, difference.key)
            action = action_for(
                item,
                escalate_cycles=self.patience.escalate_cycles,
                may_halt=self._may_halt(),
                epoch=self.epoch,
                has_lasted=(self._started_ns or 0) - item.first_ns >= self.patience.halt_after_ns,
            )
            actions[key] = action
            drifts.append(drift_of(difference, action))
            if key not in self._ripe:
                effects.extend(self._alert(difference, action, now_ms))
            if action in HALTS and key not in self._halted_for:
                self._halted_for.add(key)
                halting.append(difference)
            order = self.listing.orders.get(difference.key)
            if action in ASKS_EXECUTOR and key not in self._asked_for and order is not None:
                self._asked_for.add(key)
                unknown.setdefault(action, []).append(order.order_id)
        effects.extend(Record(row) for row in self._self_resolved(now_ms))
        if halting:
            self.counters.halts += 1
            effects.append(Halt(halt_of(halting), f"halt-{self.counters.cycles}"))
        effects.extend(
            AskCancel(tuple(order_ids), f"{action}: orders that the executor does not know")
            for action, order_ids in unknown.items()
        )
        self._ripe = actions
        self._halted_for &= actions.keys()
        self._asked_for &= actions.keys()
        return effects, drifts

    def _alert(self, difference: Difference, action: Action, now_ms: int) -> list[Effect]:
        """Return what a difference that begins to count leaves behind: a line for whoever is awake, a row."""
        self.counters.drifts += 1
        self.counters.ghost_detected += is_ghost(difference)
        effects: list[Effect] = [Log("RECON_DRIFT", DRIFT_MESSAGE, "CRITICAL", fields_of(difference, action))]
        orphan = self._orphan_of(difference)
        if orphan is not None:
            self.counters.orphaned_detected += 1
            is_ours = difference.kind is not Kind.FOREIGN_ORDER
            row = self.orphans.on_detected(orphan, now_ms, is_ours=is_ours)
            effects.extend([Record(row)] if row is not None else [])
        return effects

    def _self_resolved(self, now_ms: int) -> Iterable[OrphanedOrderV1]:
        listed = {order.order_id for order in self.listing.orders.values()}
        return self.orphans.on_resting(listed | self.drop_copy.order_ids(), now_ms)

    def _orphan_of(self, difference: Difference) -> OrphanV1 | None:
        if difference.kind in (Kind.ORDERS_ONLY_EXCHANGE, Kind.FOREIGN_ORDER):
            key = difference.key
            order = self.listing.orders.get(key) or self.drop_copy.order(key)
            return None if order is None else order_orphan_of(resting(order))
        if is_unclaimed(difference):
            return position_orphan_of(difference.market, self.listing.position(difference.market))
        return None

    def _testified(self, ripe: list[Ripe], green: list[Difference]) -> tuple[list[Ripe], list[Difference]]:
        """Keep back what the executor might still explain: a crash is not a lie.

        It explains, or stands by it, by living on; a new leader first puts its books in order.
        """
        counts = [item for item in ripe if self._is_testified(item)]
        return counts, [*green, *(item.difference for item in ripe if item not in counts)]

    def _is_testified(self, item: Ripe) -> bool:
        if not needs_executor(item.difference) or self.executor.epoch is None:
            return True
        is_orphan = item.difference.kind is Kind.ORDERS_ONLY_EXCHANGE
        return self.executor.has_lived_since(item.first_ns) and (is_orphan or self._may_halt())

    def _may_halt(self) -> bool:
        """Return whether the leader has agreed once in its epoch, or has had all the time to recover."""
        now_ns = self._started_ns or 0
        return not self._is_barred or not self.executor.is_recovering(now_ns)

    def _knows_cash(self, started_ns: int) -> bool:
        fresh_ns = self.patience.fresh_cycles * self.patience.cycle_ns
        return self._cash_ns is not None and started_ns - self._cash_ns <= fresh_ns

    def _plan_confirmation(self, listing: Listing, reason: str, *, is_needed: bool) -> None:
        # So many in a row as make even a difference count that changes each time; then the cycle is enough.
        if reason != "confirm":
            self._confirms_left = 2 * self.patience.confirm_cycles
        self._confirm_ns = None
        if is_needed and self._confirms_left:
            self._confirms_left -= 1
            self._confirm_ns = listing.started_ns + self.patience.confirm_ns

    def _is_disputed(self, now_ns: int) -> bool:
        """Return whether the two streams disagree on something new for longer than the settling time."""
        if now_ns - self._glanced_ns < _GLANCE_NS or not self.executor.is_alive(now_ns):
            return False
        self._glanced_ns = now_ns
        found = glance(self.env, self.executor, self.drop_copy, self.listing, now_ns, self.patience.settle_ms)
        return self._watch.look(found, now_ns)
