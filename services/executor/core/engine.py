"""The executor's core: every input is a method, every output a list of effects.

It ties target store, planner, gate, orders, positions and halting together and keeps
no other thought of its own than: what changed, is looked at in the next pass; what
time alone changes (expiries, ages, silence) is looked at on every tick.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from libs.common.control.latch import LatchState
from libs.common.control.limits import LimitFold, flat
from libs.common.domain.units import DOLLAR_E4
from libs.common.kalshi.model import (
    FeedClosed,
    FeedEvent,
    FeedSubscribed,
    GroupUpdate,
    OwnFill,
    OwnOrder,
    VenueBalance,
    VenuePosition,
)
from libs.common.messages.control import GateState, PermitV1
from libs.common.messages.market import MarketV1, TopV1
from libs.common.messages.target import TargetV1
from libs.common.risk.rules.price_collar import reference_e4
from services.executor.core.account import Account, Now
from services.executor.core.conflicts import Conflicts
from services.executor.core.effects import Effect, Log, ReadFills, ReadSettlements, SendBatch, SendCancels
from services.executor.core.epoch import EpochKeeper
from services.executor.core.exits import DirectOrders
from services.executor.core.halting import Halting
from services.executor.core.intake import Intake
from services.executor.core.kill import KillLadder
from services.executor.core.kill_scope import WHOLE, KillScope
from services.executor.core.order_path import OrderPath
from services.executor.core.quoting import Quoter
from services.executor.core.requests import CancelRequest, CreateRequest
from services.executor.core.seal import Approved, Seal

_S = 1_000_000_000

_LOST_CANCEL_NS = 3 * _S
"""A cancel without a proper answer is looked up first; a read that has not told by then may be as sick."""

_QUIET_TURNS = 10
"""Seconds after which every market's position was said anew, however quiet."""
_QUIET_TOLD_MIN = 200


@dataclass(slots=True)
class Engine:
    """One account's executor core."""

    account: Account
    quoter: Quoter
    intake: Intake
    halting: Halting
    epoch: EpochKeeper
    seal: Seal
    path: OrderPath = field(default_factory=OrderPath)
    closed_cancel_ns: int = 5 * _S
    conflicts: Conflicts = field(default_factory=Conflicts)
    position_residual_e2: int = 0
    cash_residual_e6: int = 0
    state: GateState = GateState.STARTING
    reasons: list[str] = field(default_factory=list)
    reread: bool = True
    """Set when the private feed lost continuity: listings and fills must be read."""
    _raw_residuals: tuple[int, int] = (0, 0)
    _compared_ns: int = 0
    _barred: dict[str, bool] = field(default_factory=dict)
    _quiet_told: int = 0
    _closed_since_ns: int | None = None
    _cancelled_all_ns: int = 0
    _second_ns: int = 0
    direct: DirectOrders = field(init=False)
    """What people and flattenings asked for."""
    limits: LimitFold = field(init=False)
    """Every change of a limit that the control stream holds."""

    def __post_init__(self) -> None:
        self.direct = DirectOrders(self.account, self.quoter)
        self.limits = LimitFold(self.account.name)

    # Messages of the bus ------------------------------------------------------------------------------

    def on_target(self, target: TargetV1, now: Now) -> None:
        """Take a target; the next pass plans its market."""
        # A target may be decided anew by a fill on a book that is seconds old: no tick is behind it.
        by_tick = target.origin_mono_ns >= self.account.filled_ns.get(target.market, 0)
        dropped = self.account.targets.put(target, now.ms, now.ns, by_tick=by_tick)
        self.account.counters["targets"] += 1
        if dropped is not None:
            self.account.held[dropped.value] += 1
            return
        self.account.dirty.add(target.market)

    def on_top(self, top: TopV1, now: Now) -> None:
        """Take a market's touch."""
        if not self.account.gate.on_top(top):
            self.account.counters["tops_dropped"] += 1
            return
        if self.account.places.is_used:
            self.account.places.look(self.account.orders.of_market(top.market), top)
        self._look_at_bar(top.market, now)

    def on_status(self, status: MarketV1, now: Now) -> list[Effect]:
        """Take a market's status."""
        account = self.account
        held = account.status.get(status.market)
        if held is None and account.is_over(status):
            return []  # nothing of ours is there, and nothing will be
        account.status[status.market] = status
        if held is None:
            account.dirty.add(status.market)
            return account.touched(status.market, now)
        effects: list[Effect] = []
        if _risk_of(held) != _risk_of(status):
            effects += account.touched(status.market, now)
        if held.state is not status.state or held.grid != status.grid:
            account.dirty.add(status.market)
            effects += self._settlement_due(status.market)
        return effects

    def on_permit(self, issuer: str, permit: PermitV1, now: Now) -> None:
        """Take a permit; a size factor that changed is planned for."""
        gate = self.account.gate
        before_e4 = gate.scale_e4
        if not gate.on_permit(issuer, permit, now.ns, now.ms):
            self.account.counters["permits_dropped"] += 1
        elif gate.scale_e4 != before_e4:
            self.account.dirty |= self.account.targets.markets()

    def on_latch(self, state: LatchState) -> list[Effect]:
        """Take what the control stream and the heard halts say together."""
        return self.halting.on_latch(state)

    # The venue ----------------------------------------------------------------------------------------

    def on_feed(self, events: Iterable[FeedEvent], now: Now) -> list[Effect]:
        """Take what the private feed says."""
        effects: list[Effect] = []
        for event in events:
            self.listen(event, now)
            if isinstance(event, OwnFill):
                effects += self.intake.on_fill(event.fill, now)
            elif isinstance(event, OwnOrder):
                effects += self.intake.on_feed_order(event.order, now)
            elif isinstance(event, GroupUpdate):
                effects += self._on_group(event)
        return effects

    def listen(self, event: FeedEvent, now: Now) -> None:
        """Take what an event says of the feed itself, also before the account is known."""
        hearing = self.account.gate.hearing
        if isinstance(event, FeedClosed):
            hearing.closed(now.ns)
            self.reread = True
            return
        hearing.heard(now.ns)
        if isinstance(event, FeedSubscribed):
            hearing.subscribed(now.ns)
            self.reread = True

    def on_balance(self, balance: VenueBalance, began_ns: int) -> None:
        """Take the cash of every shard: what opens risk must fit into it."""
        cash = self.account.desk.cash
        if cash.asked_ns is None:
            # Everything was refused until now for want of it.
            self.account.dirty |= self.account.targets.markets()
        cash.on_balance(balance.by_shard, balance.total_e6, began_ns)

    def on_limits(self, now: Now) -> list[Effect]:
        """Go by the changes of limits that hold now: asked when one came, and each second, as they end.

        Tightening is like a halt: what rests is withdrawn, and comes back as far as the new limit lets
        it. Nothing goes beyond the configuration.
        """
        approver = self.quoter.approver
        was, is_now = flat(approver.limits), self.limits.applied(approver.ceiling, now.ms)
        changed = {name: value for name, value in flat(is_now).items() if value != was[name]}
        if not changed:
            return []
        approver.use_limits(is_now)
        is_rebuilt = self.account.gate.is_rebuilt
        is_tightened = any(value < was[name] for name, value in changed.items())
        effects = self.cancel_everything(now) if is_rebuilt and is_tightened else []
        self.account.dirty |= self.account.targets.markets()
        caps = flat(approver.ceiling)
        for name, value in changed.items():
            change = self.limits.now(name, caps[name], now.ms).change
            by, reason = (change.by, change.reason) if change is not None else ("", "a change ended")
            fields = {"limit": name, "was": was[name], "value": value, "by": by}
            rule = (name, was[name], value)
            effects += [
                self.account.audit("LIMIT_CHANGED", now, market="", reason=reason, rule=rule, by=by),
                Log("LIMIT_CHANGED", reason, level="WARNING", fields=fields),
            ]
        return effects

    def on_positions_read(
        self, venue: list[VenuePosition], balance_e6: int | None, began_ns: int, now: Now
    ) -> None:
        """Compare with the venue's own sums; a difference counts once two reads in a row show one.

        Reads lag, so a comparison with fills in the air compares different moments: it is
        left out, unless there has been none for half a minute.
        """
        quiet_ns = began_ns - self.intake.booked_ns
        if quiet_ns < self.intake.read_lag_ns and now.ns - self._compared_ns < 30 * _S:
            return
        self._compared_ns = now.ns
        position = self.account.positions.position_residual_e2(venue)
        cash = self._raw_residuals[1]
        if balance_e6 is not None:
            cash = self.account.positions.cash_residual_e6(balance_e6)
        was = self._raw_residuals
        self._raw_residuals = (position, cash)
        self.position_residual_e2 = position if was[0] else 0
        self.cash_residual_e6 = cash if was[1] else 0

    @property
    def raw_residuals(self) -> tuple[int, int]:
        """Return the newest differences, confirmed or not."""
        return self._raw_residuals

    # Sending ------------------------------------------------------------------------------------------

    def run_pass(self, now: Now) -> list[Effect]:
        """Plan what changed, and look after what people asked for; theirs first, it may hold a market."""
        direct = self.direct.run(now)
        if not self.account.gate.is_recovered:
            return direct
        return direct + self.quoter.run(now)

    def may_send(self, approved: tuple[Approved, ...], markets: tuple[str, ...], now: Now) -> str | None:
        """Return why these bytes may not leave now, or None: asked right before they do."""
        gate = self.account.gate
        if not self.epoch.is_leading:
            return "epoch_lost"
        requests = [one.request for one in approved]
        is_exit = bool(requests) and all(isinstance(one, CreateRequest) and one.is_exit for one in requests)
        account_reasons = gate.exit_reasons if is_exit else gate.account_reasons
        if reasons := account_reasons(now.ns, now.echo_age_ns):
            return reasons[0]
        strategies = {one.market: one.strategy for one in requests}
        for market in markets:
            strategy = strategies.get(market)
            if barred := gate.market_reasons(market, now.ms, exit=is_exit, strategy=strategy):
                return barred[0]
        return next((why for one in approved if (why := self._why_void(one, now))), None)

    def recheck(self, approved: Approved, now: Now) -> str | None:
        """Return why a create that waited for cancels may not leave, or None: asked like `may_send`."""
        refusal = self.quoter.approver.recheck(approved, now)
        return refusal.rule if refusal is not None else None

    def batch_answered(self) -> None:
        """A batch has all its answers."""
        self.quoter.batches_open -= 1
        assert self.quoter.batches_open >= 0, "every batch is answered once"

    def on_wire(
        self, batch: SendBatch, clients: Collection[str], intent_ns: int, stored_ns: int, mono_ns: int
    ) -> None:
        """Measure the way of these orders from the book change to their bytes.

        A create that waited for another order's cancel measures the venue, and is left out.
        """
        for client, tick_ns, target_ns in batch.origins_ns:
            if client in clients and client not in batch.after:
                self.path.add(tick_ns, target_ns, intent_ns, stored_ns, mono_ns)

    # Time ---------------------------------------------------------------------------------------------

    def on_tick(self, now: Now) -> list[Effect]:
        """Look at what time alone changes."""
        account = self.account
        effects = self._gate_state(now)
        for market in account.orders.markets():
            self._look_at_bar(market, now)
            if account.targets.get(market, now.ms) is None:
                account.dirty.add(market)
        if not account.gate.is_killing:
            # Recovered or not: a takeover that waits for the journal leaves orders on the other shards.
            effects += self._withdraw(now)
        if now.ns - self._second_ns >= _S:
            self._second_ns = now.ns
            effects += self._each_second(now)
        return effects

    def cancel_everything(self, now: Now, *, only: frozenset[str] | None = None) -> list[Effect]:
        """Cancel every order of ours that has a name and no cancel under way, or those of these venue ids.

        A cancel without a proper answer is sent again after a second: the reads that would tell what
        became of it may be as sick.
        """
        cancels: list[CancelRequest] = []
        effects: list[Effect] = []
        for order in list(self.account.orders.live()):
            is_meant = only is None or order.order_id in only
            is_lost = order.is_cancel_lost and now.ns - order.asked_ns >= _S
            if is_meant and order.order_id and (is_lost or not order.is_in_flight):
                effects += self.quoter.cancel(order, cancels, now)
        size = self.quoter.batch_items
        batches = [
            SendCancels(tuple(cancels[start : start + size])) for start in range(0, len(cancels), size)
        ]
        return [*batches, *effects]

    def start_kill(
        self,
        reason: str,
        now: Now,
        *,
        with_cancel_all: bool,
        reach: KillScope = WHOLE,
        heard_ns: int | None = None,
    ) -> KillLadder:
        """Close the gate, take the groups in reach out of use for ever, and return the ladder.

        The gate of a narrower halt is closed by its latch. ``heard_ns`` is when the halt came, the
        ladder's zero.
        """
        account = self.account
        if reach.is_whole:
            account.gate.is_killing = True
        groups = {group: shard for shard, group in account.groups.items() if reach.triggers(shard)}
        for shard in groups.values():
            del account.groups[shard]
        shards = {reach.shard} if reach.shard is not None else {*groups.values(), *self._shards()}
        ladder = KillLadder(
            reason,
            groups,
            now.ns if heard_ns is None else heard_ns,
            with_cancel_all=with_cancel_all,
            settle_ns=self.intake.read_lag_ns,
            reach=reach,
            shards=shards,
        )
        ladder.begin(now.ns)
        return ladder

    def _shards(self) -> set[int]:
        account = self.account
        known = {order.shard for order in account.orders.live()}
        return known | {status.shard for status in account.status.values()}

    def began_epoch(self, number: int) -> None:
        """Start numbering anew under the epoch that was just claimed."""
        account = self.account
        account.journal.epoch, account.journal.batch = number, 0
        account.gate.epoch = number
        account.positions.new_epoch(number)
        account.groups.clear()
        account.groups_asked.clear()

    # Reporting ----------------------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        """Return what the status shows by name."""
        counters = self.account.counters
        names = (
            "orders_created",
            "orders_amended",
            "orders_decreased",
            "orders_cancelled",
            "http_calls",
            "orphans",
            "duplicates",
            "refusals",
            "refused",
            "unknown",
            "targets",
            "malformed",
            "rate_limited",
            "cancel_not_found",
        )
        told = {name: counters[name] for name in names}
        told["fills"] = self.account.positions.fill_count
        told["halts"] = self.halting.halts
        told.update({f"held_{reason}": count for reason, count in self.account.held.items()})
        return told

    def gauges(self) -> dict[str, float]:
        """Return what the status shows by name."""
        account = self.account
        resting = [order for order in account.orders.live() if order.order_id]
        unknown = sum(order.is_unknown for order in account.orders.live())
        gauges: dict[str, float] = {
            "unknown_open": unknown,
            "conflicts_open": self.conflicts.count,
            "fees_e6": account.positions.fees_e6,
            "realised_e6": account.positions.realised_e6,
            "pnl_e6": self.pnl_e6(),
            "exposure_e6": account.desk.account_e6,
            "position_residual_e2": self.position_residual_e2,
            "cash_residual_e6": self.cash_residual_e6,
            "resting_orders": len(resting),
            "gate_open": float(self.state is GateState.RUNNING),
            "scale_e4": account.gate.scale_e4,
            "epoch": self.epoch.number,
            "foreign_orders": len(account.foreign),
        }
        return gauges | self.path.gauges()

    def pnl_e6(self) -> int:
        """Return realised result minus fees, plus open positions at the middle of their books."""
        positions = self.account.positions
        total = positions.realised_e6 - positions.fees_e6
        for market in positions.open_markets:
            top = self.account.gate.top(market)
            mid = reference_e4(top.bid_e4, top.ask_e4) if top is not None else None
            qty = positions.qty_e2(market)
            if mid is not None:
                leg = mid if qty > 0 else DOLLAR_E4 - mid
                total += int(leg * abs(qty)) - positions.cost_e6(market)
        return total

    # Below: how it is done ----------------------------------------------------------------------------

    def _why_void(self, approved: Approved, now: Now) -> str | None:
        if approved.epoch != self.epoch.number:
            return "seal_other_epoch"
        if now.ns > approved.expires_ns:
            return "intent_old"
        # Lowered limits hold for what was approved under the old ones as well.
        return "limits_changed" if approved.limits != self.quoter.approver.revision else None

    def _look_at_bar(self, market: str, now: Now) -> None:
        barred = bool(
            self.account.gate.market_reasons(market, now.ms, strategy=self.account.targets.strategy(market))
        )
        if self._barred.get(market) is not barred:
            self._barred[market] = barred
            self.account.dirty.add(market)

    def _settlement_due(self, market: str) -> list[Effect]:
        account = self.account
        if account.is_paid(market) and account.positions.qty_e2(market):
            return [ReadSettlements(market)]
        return []

    def _on_group(self, event: GroupUpdate) -> list[Effect]:
        account = self.account
        if event.event_type not in ("triggered", "deleted"):
            return []
        for shard, order_group_id in list(account.groups.items()):
            if order_group_id == event.order_group_id:
                # Not our kill (that takes its groups out of use first): the venue's fuse blew.
                del account.groups[shard]
                reason = f"the venue {event.event_type} the order group of shard {shard}"
                return [account.take_over(reason, is_fuse=True)]
        return []

    def _gate_state(self, now: Now) -> list[Effect]:
        gate = self.account.gate
        reasons = gate.account_reasons(now.ns, now.echo_age_ns)
        state = gate.state(now.ns, now.echo_age_ns)
        changed = (state is GateState.RUNNING) != (self.state is GateState.RUNNING)
        self.state, self.reasons = state, reasons
        # At the level `REDUCE_ONLY` what shrinks a position may go on resting; the planner ends the rest.
        lasting = gate.exit_reasons(now.ns, now.echo_age_ns) if reasons else reasons
        if lasting and self._closed_since_ns is None:
            self._closed_since_ns = now.ns
        if not lasting:
            self._closed_since_ns = None
        if not changed:
            return []
        self.account.dirty |= self.account.targets.markets()
        if state is GateState.RUNNING:
            return [Log("GATE_OPENED", fields={"epoch": self.epoch.number})]
        return [Log("GATE_CLOSED", level="WARNING", fields={"reasons": reasons, "state": state.value})]

    def _withdraw(self, now: Now) -> list[Effect]:
        # A gate closed for so long is no hiccup: what rests was priced by somebody who may be gone.
        closed_long = (
            self._closed_since_ns is not None and now.ns - self._closed_since_ns >= self.closed_cancel_ns
        )
        if not closed_long and not self.epoch.must_cancel_all(now.ns):
            return []
        if now.ns - self._cancelled_all_ns < _S:
            return []
        self._cancelled_all_ns = now.ns
        return self.cancel_everything(now)

    def _cancel_again(self, now: Now) -> list[Effect]:
        lost = frozenset(
            order.order_id
            for order in self.account.orders.live()
            if order.is_cancel_lost and now.ns - order.answered_ns >= _LOST_CANCEL_NS
        )
        return self.cancel_everything(now, only=lost) if lost else []

    def _positions_due(self) -> list[str]:
        # What is open every second; the quiet rest in turns, for those who were not there when it changed.
        account = self.account
        busy = account.orders.markets() | account.positions.open_markets
        quiet = sorted(account.known_markets() - busy)
        share = max(_QUIET_TOLD_MIN, -(-len(quiet) // _QUIET_TURNS))
        begin = self._quiet_told if self._quiet_told < len(quiet) else 0
        self._quiet_told = begin + share
        return [*sorted(busy), *quiet[begin : begin + share]]

    def _each_second(self, now: Now) -> list[Effect]:
        account = self.account
        account.orders.forget_ended(now.ns)
        account.places.keep(order.client_order_id for order in account.orders.live())
        account.dirty |= account.orders.markets() | account.targets.markets()
        account.recent_audits.clear()
        effects: list[Effect] = [*self._cancel_again(now), *self.quoter.watch_budget(now)]
        effects += self.on_limits(now)
        effects += [effect for m in self._positions_due() for effect in account.position_effects(m)]
        for market in [m for m, status in account.status.items() if account.is_over(status)]:
            account.forget(market)
            self._barred.pop(market, None)
        effects += self.conflicts.look(account.orders.unresolved(), now)
        if self.intake.missing_fills(now):
            effects.append(ReadFills())
        for market in account.positions.open_markets:
            effects += self._settlement_due(market)
        return effects


def _risk_of(status: MarketV1) -> tuple[str, int, bool]:
    return status.event, status.shard, status.is_exclusive_event
