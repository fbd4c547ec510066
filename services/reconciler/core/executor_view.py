"""The first witness: what the executor wrote into EXEC, and when it stopped speaking.

Rules of the file:

* Messages of different subjects may arrive in any order; versions and stream
  sequences decide, never arrival.
* An order on its way (intended, sent, unknown, being cancelled) is no evidence,
  neither for nor against; if it stays on its way too long, the executor does not
  know it any more.
* What a dead epoch said about an order is history. The new leader has the
  recovery time to say it again or to clear it away.
* Fills that two witnesses agree on are forgotten, so a comparison costs what is
  new and not what ever was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from libs.common.messages.execution import (
    Action,
    EpochV1,
    FillV1,
    IntentV1,
    OrderState,
    OrderV1,
    PositionV1,
    RenewV1,
)
from services.reconciler.core.agreed import Agreed
from services.reconciler.core.balance_proof import GenesisCash
from services.reconciler.core.witness import FillKey, FillTerms, Resting, Witness, order_key

_RESTS = frozenset({OrderState.RESTING, OrderState.PARTLY_FILLED, OrderState.AMEND_PENDING})
_ENDED = frozenset({OrderState.EXECUTED, OrderState.CANCELLED, OrderState.REFUSED})
_TOMBSTONES_MAX = 20_000


@dataclass(slots=True)
class _Known:
    """One order of the executor.

    `since_ns`: arrival of the message that began the present stand; `changed_ns`: of the newest message.
    """

    order: OrderV1 | None
    sequence: int
    since_ns: int
    changed_ns: int


class _Buried(NamedTuple):
    """What is kept of an order that says nothing any more: its newest version, its stand and since when."""

    version: int
    stand: str | None
    since_ns: int


@dataclass(slots=True)
class ExecutorView:
    """Folds the executor's events into a witness."""

    silence_ns: int
    recovery_ns: int
    in_flight_ns: int
    done: Agreed = field(default_factory=Agreed)
    epoch: EpochV1 | None = None
    epoch_sequence: int = 0
    epoch_ns: int = 0
    genesis: GenesisCash | None = None
    _renewed_ns: int | None = None
    _orders: dict[str, _Known] = field(default_factory=dict)
    _tombstones: dict[str, _Buried] = field(default_factory=dict)
    _fills: dict[FillKey, FillV1] = field(default_factory=dict)
    _positions: dict[str, tuple[PositionV1, int]] = field(default_factory=dict)

    @property
    def genesis_ms(self) -> int | None:
        """Return when the genesis balance was read, None while it is unknown."""
        return None if self.genesis is None else self.genesis.ms

    def on_epoch(self, epoch: EpochV1, sequence: int, now_ns: int) -> bool:
        """Take one epoch and return whether it is a new leader."""
        if epoch.genesis_balance_e6 is not None and epoch.genesis_ms is not None:
            by_shard = dict(epoch.genesis_shards_e6)
            self.genesis = GenesisCash(epoch.genesis_balance_e6, by_shard, epoch.genesis_ms)
        if sequence <= self.epoch_sequence:
            return False
        self.epoch, self.epoch_sequence, self.epoch_ns = epoch, sequence, now_ns
        self._renewed_ns = now_ns
        return True

    def on_renew(self, renew: RenewV1, now_ns: int) -> None:
        """Take one sign of life; that of an older epoch proves nothing."""
        if self.epoch is not None and renew.epoch in (self.epoch.number, self.epoch_sequence):
            self._renewed_ns = now_ns

    def on_intent(self, intent: IntentV1, sequence: int, now_ns: int) -> None:
        """Take one batch that is about to be sent."""
        for item in intent.items:
            key = order_key(item.client_order_id, item.order_id)
            if item.action is Action.CREATE and key not in self._orders and key not in self._tombstones:
                self._orders[key] = _Known(None, sequence, now_ns, now_ns)

    def on_order(self, order: OrderV1, sequence: int, now_ns: int) -> None:
        """Take an order's newest state."""
        key = order_key(order.client_order_id, order.order_id)
        before = self._before(key)
        if before is not None and order.version <= before.version:
            return
        is_same_stand = before is not None and before.stand == _stand(order)
        since_ns = before.since_ns if before is not None and is_same_stand else now_ns
        self._tombstones.pop(key, None)
        self._orders[key] = _Known(order, sequence, since_ns, now_ns)

    def _before(self, key: str) -> _Buried | None:
        known = self._orders.get(key)
        if known is None or known.order is None:
            return self._tombstones.get(key)
        return _Buried(known.order.version, _stand(known.order), known.since_ns)

    def on_fill(self, fill: FillV1) -> FillKey | None:
        """Take one fill and return its key if it is new."""
        key = FillKey(fill.trade_id, fill.order_id)
        if key in self._fills or self.done.has(key, fill.venue_ms):
            return None
        self._fills[key] = fill
        return key

    def on_position(self, position: PositionV1, now_ns: int) -> None:
        """Take the executor's own claim about a position."""
        newest = self._positions.get(position.market)
        if newest is not None and (newest[0].epoch, newest[0].sequence) > (position.epoch, position.sequence):
            return
        self._positions[position.market] = (position, now_ns)

    def agreed(self, key: FillKey) -> None:
        """Forget a fill that was compared and found right."""
        self._fills.pop(key, None)

    @property
    def fills(self) -> dict[FillKey, FillV1]:
        """Return fills that are still to be compared."""
        return self._fills

    def is_alive(self, now_ns: int) -> bool:
        """Return whether the newest epoch renewed lately."""
        return self._renewed_ns is not None and now_ns - self._renewed_ns <= self.silence_ns

    def has_lived_since(self, since_ns: int) -> bool:
        """Return whether the newest epoch renewed after this moment.

        An executor that died before it could write something down has not lied about it.
        """
        return self._renewed_ns is not None and self._renewed_ns > since_ns

    def is_recovering(self, now_ns: int) -> bool:
        """Return whether the newest epoch is so young that its books may still be behind."""
        return self.epoch is not None and now_ns - self.epoch_ns < self.recovery_ns

    def young_orders(self, cutoff_ns: int) -> frozenset[str]:
        """Return orders that began or ended after this moment, as the executor tells it."""
        return frozenset(key for key, known in self._orders.items() if known.since_ns > cutoff_ns)

    def resting(self) -> Iterator[tuple[str, OrderV1]]:
        """Yield what the executor takes for resting in its present epoch."""
        for key, known in self._orders.items():
            order = known.order
            if order is not None and order.state in _RESTS and known.sequence >= self.epoch_sequence:
                yield key, order

    def witness(
        self,
        now_ns: int,
        cutoff_ns: int,
        fills_until_ms: int,
        leave_out: frozenset[str] = frozenset(),
    ) -> Witness:
        """Return the executor's word now.

        Args:
            now_ns: Monotonic time.
            cutoff_ns: What changed after this monotonic time is no evidence yet.
            fills_until_ms: Nothing is said about fills from this venue time on.
            leave_out: Orders that are not asked about.
        """
        if self.epoch is None:
            # Nobody has led yet, so nobody can know any order: whatever rests is unexplained.
            return Witness(orders={}, positions=None, fills=None)
        orders: dict[str, Resting] = {}
        unsure: set[str] = set()
        moving: set[str] = set()
        for key, known in self._orders.items():
            order, is_history = known.order, known.sequence < self.epoch_sequence
            if key in leave_out or self._is_over(known, now_ns, cutoff_ns):
                continue
            if order is None or order.state not in _RESTS or is_history:
                unsure.add(key)
            else:
                orders[key] = Resting(
                    order.order_id,
                    order.client_order_id,
                    order.market,
                    order.side,
                    order.price_e4,
                    order.remaining_e2,
                )
                if known.since_ns > cutoff_ns:
                    unsure.add(key)
                elif known.changed_ns > cutoff_ns or order.state is OrderState.AMEND_PENDING:
                    moving.add(key)
        fills = {
            key: FillTerms(fill.market, fill.side, fill.price_e4, fill.qty_e2, fill.fee_e6)
            for key, fill in self._fills.items()
        }
        return Witness(
            orders=orders,
            unsure=frozenset(unsure),
            moving=frozenset(moving),
            fills=fills,
            fills_from_ms=self.genesis_ms or 0,
            fills_until_ms=fills_until_ms,
            positions=self.positions(now_ns),
            is_whole=False,
        )

    def positions(self, now_ns: int) -> dict[str, int]:
        """Return the newest epoch's fresh claims."""
        if self.epoch is None:
            return {}
        return {
            market: claim.qty_e2
            for market, (claim, heard_ns) in self._positions.items()
            if claim.epoch in (self.epoch.number, self.epoch_sequence)
            and now_ns - heard_ns <= self.silence_ns
        }

    def orders_before(self, moment_ns: int) -> frozenset[str]:
        """Return orders whose present stand began before this moment."""
        return frozenset(key for key, known in self._orders.items() if known.since_ns < moment_ns)

    def _limit_ns(self, known: _Known) -> int:
        """Return until when an order that is on its way, or history, is no evidence."""
        if known.sequence < self.epoch_sequence:
            return max(known.since_ns, self.epoch_ns) + self.recovery_ns
        return known.since_ns + self.in_flight_ns

    def bury(self, now_ns: int, cutoff_ns: int) -> None:
        """Forget what says nothing any more: orders that ended, and what stayed on its way too long."""
        for key in [key for key, known in self._orders.items() if self._is_over(known, now_ns, cutoff_ns)]:
            known = self._orders.pop(key)
            order = known.order
            self._tombstones[key] = _Buried(
                0 if order is None else order.version,
                None if order is None else _stand(order),
                known.since_ns,
            )
        while len(self._tombstones) > _TOMBSTONES_MAX:
            self._tombstones.pop(next(iter(self._tombstones)))

    def _is_over(self, known: _Known, now_ns: int, cutoff_ns: int) -> bool:
        if known.order is not None and known.order.state in _ENDED:
            return known.since_ns <= cutoff_ns
        is_history = known.sequence < self.epoch_sequence
        rests = known.order is not None and known.order.state in _RESTS and not is_history
        return not rests and now_ns >= self._limit_ns(known)


def _stand(order: OrderV1) -> str:
    if order.state in _RESTS:
        return "rests"
    return "ended" if order.state in _ENDED else "on its way"
