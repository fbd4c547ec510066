"""A book of recorded anonymous levels with the accounts' own orders queued in it.

Published is what was recorded plus what our accounts rest, so the recording
stays the truth and our orders only add to it. The rules of the file:

* An order stands behind everything recorded at its price when it came; what is
  recorded later stands behind it. How it advances says `queue_model.py`.
* A recorded trade pushes its quantity through the queue: first through our
  orders at better prices (it traded through them), then through the level:
  what stands before us, then we. What we took of it is not announced again as
  a trade between strangers. Its level change follows as a delta and is then
  known not to be a cancel.
* A recorded quantity that arrives across our price trades with us first; on the
  real venue it could not have come to rest there. So the book never crosses.
* A crossing order of an account takes recorded depth. What it took is
  remembered and stays out of sight until the recording takes it away itself:
  a recorded cancel takes the consumed quantity first.

Self-trade prevention and order among accounts are those of the FIFO book: our
orders at one price are served by arrival, each after the quantity before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from libs.common.domain.side import Side
from services.simexchange.core.engine import External, LevelChange, Match, Matched
from services.simexchange.core.orders import Order, SelfTradePrevention
from services.simexchange.core.queue_model import QueueModel, ahead_after_cancel

_NOTHING = External()


class _Queued:
    """An account's order and what is recorded before it."""

    __slots__ = ("ahead_e2", "order", "qty_e2")

    def __init__(self, order: Order, qty_e2: int, ahead_e2: int) -> None:
        self.order = order
        self.qty_e2 = qty_e2
        self.ahead_e2 = ahead_e2


class _Half:
    """One side: recorded levels, what of them is consumed or about to leave by trade, and our queue."""

    __slots__ = ("consumed", "queue", "recorded", "sign", "traded")

    def __init__(self, side: Side) -> None:
        self.sign = side.sign
        self.recorded: dict[int, int] = {}
        self.consumed: dict[int, int] = {}
        self.traded: dict[int, int] = {}
        """Traded quantity whose level change has not come yet."""
        self.queue: dict[int, list[_Queued]] = {}

    def anonymous(self, price_e4: int) -> int:
        """Return the recorded quantity that is still there."""
        return self.recorded.get(price_e4, 0) - self.consumed.get(price_e4, 0)

    def shown(self, price_e4: int) -> int:
        """Return the displayed quantity of a level."""
        return self.anonymous(price_e4) + sum(q.qty_e2 for q in self.queue.get(price_e4, ()))

    def best_first(self, prices: Iterable[int]) -> list[int]:
        """Return these prices, best first."""
        return sorted(prices, reverse=self.sign > 0)

    def own_through(self, limit_e4: int) -> list[int]:
        """Return the prices of our queues at the limit or better, best first."""
        return self.best_first(p for p in self.queue if (p - limit_e4) * self.sign >= 0)


class TapeBook:
    """See the module. Implements `ExternalBook`; integers only, times unused."""

    def __init__(self, model: QueueModel = QueueModel.PESSIMISTIC) -> None:
        self._model = model
        self._halves = {side: _Half(side) for side in Side}
        self._by_id: dict[str, _Queued] = {}

    # What is there ---------------------------------------------------------------------------------

    def recorded(self, side: Side) -> dict[int, int]:
        """Return a copy of the recorded levels of one side, as the tape has them."""
        return dict(self._halves[side].recorded)

    def displayed(self, side: Side) -> Iterator[tuple[int, int]]:
        """Yield ``(price_e4, qty_e2)`` best first."""
        half = self._halves[side]
        for price_e4 in half.best_first(half.recorded.keys() | half.queue.keys()):
            if (qty_e2 := half.shown(price_e4)) > 0:
                yield price_e4, qty_e2

    def best(self, side: Side) -> tuple[int, int] | None:
        """Return the best displayed level, or None."""
        half = self._halves[side]
        if not half.queue and not half.consumed:
            # The common case by far: nobody of ours is here.
            if not half.recorded:
                return None
            price_e4 = max(half.recorded) if half.sign > 0 else min(half.recorded)
            return price_e4, half.recorded[price_e4]
        return next(self.displayed(side), None)

    def ahead_of(self, order: Order) -> int:
        """Return what trades before this order at its price, our own earlier orders included."""
        queued = self._by_id.get(order.order_id)
        if queued is None:
            return 0
        total_e2 = queued.ahead_e2
        for other in self._halves[order.side].queue[order.price_e4]:
            if other is queued:
                break
            total_e2 += other.qty_e2
        return total_e2

    def resting(self) -> Iterator[Order]:
        """Yield every account order."""
        for queued in self._by_id.values():
            yield queued.order

    # Orders of accounts ----------------------------------------------------------------------------

    def would_cross(self, order: Order) -> bool:
        """Return whether anything displayed rests at a price the order crosses."""
        best = self.best(order.side.opposite)
        return best is not None and order.crosses(best[0])

    def fillable_e2(self, order: Order) -> int:
        """Return how much would trade now, own orders not counted."""
        half = self._halves[order.side.opposite]
        total_e2 = 0
        for price_e4 in self._crossed(order, half):
            total_e2 += half.anonymous(price_e4)
            total_e2 += sum(
                q.qty_e2 for q in half.queue.get(price_e4, ()) if q.order.account != order.account
            )
            if total_e2 >= order.remaining_e2:
                return order.remaining_e2
        return total_e2

    def match(  # noqa: C901 - one walk through one queue; cut up, nobody could follow the quantity
        self,
        order: Order,
        now_ns: int,  # noqa: ARG002 - the seam's signature
    ) -> Matched:
        """Match an account's order against recorded depth and other accounts, price first, then place."""
        half = self._halves[order.side.opposite]
        left_e2 = order.remaining_e2
        matches: list[Match] = []
        self_cancelled: list[Order] = []
        is_stopped = False
        for price_e4 in self._crossed(order, half):
            taken_e2 = 0
            for queued in list(half.queue.get(price_e4, ())):
                before_e2 = min(queued.ahead_e2 - taken_e2, left_e2)
                if before_e2 > 0:
                    matches.append(Match(None, price_e4, before_e2))
                    taken_e2 += before_e2
                    left_e2 -= before_e2
                if left_e2 == 0:
                    break
                if queued.order.account == order.account:
                    if order.stp is SelfTradePrevention.TAKER_AT_CROSS:
                        is_stopped = True
                        break
                    self_cancelled.append(queued.order)
                    self._drop(half, queued)
                    continue
                qty_e2 = min(queued.qty_e2, left_e2)
                matches.append(Match(queued.order, price_e4, qty_e2))
                left_e2 -= qty_e2
                self._shrink(half, queued, qty_e2)
                if left_e2 == 0:
                    break
            if left_e2 and not is_stopped and (rest_e2 := half.anonymous(price_e4) - taken_e2) > 0:
                rest_e2 = min(rest_e2, left_e2)
                matches.append(Match(None, price_e4, rest_e2))
                taken_e2 += rest_e2
                left_e2 -= rest_e2
            if taken_e2:
                half.consumed[price_e4] = half.consumed.get(price_e4, 0) + taken_e2
                for queued in half.queue.get(price_e4, ()):
                    queued.ahead_e2 = max(0, queued.ahead_e2 - taken_e2)
            if left_e2 == 0 or is_stopped:
                break
        return Matched(tuple(matches), tuple(self_cancelled), is_stopped)

    def rest(self, order: Order) -> None:
        """Add the order behind everything displayed at its price."""
        half = self._halves[order.side]
        queued = _Queued(order, order.remaining_e2, half.anonymous(order.price_e4))
        half.queue.setdefault(order.price_e4, []).append(queued)
        self._by_id[order.order_id] = queued

    def remove(self, order: Order) -> int:
        """Take the order out; return the quantity that left its level."""
        queued = self._by_id.get(order.order_id)
        if queued is None:
            return 0
        qty_e2 = queued.qty_e2
        self._drop(self._halves[order.side], queued)
        return qty_e2

    def reduce(self, order: Order, by_e2: int) -> None:
        """Make the order smaller; it keeps its place."""
        queued = self._by_id[order.order_id]
        assert 0 < by_e2 < queued.qty_e2, f"part of {queued.qty_e2}, was {by_e2}"
        queued.qty_e2 -= by_e2

    # The recording ---------------------------------------------------------------------------------

    def reset(self, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]) -> External:
        """Replace the recorded levels, as the signed changes that lead there.

        Reductions are taken for cancels, since nobody knows better.
        """
        changes: list[LevelChange] = []
        matches: list[Match] = []
        taker_side = Side.BID
        for side, price_e4, change_e2 in self.difference(bids, asks):
            external = self.apply_level(side, price_e4, change_e2, 0)
            changes.extend(external.changes)
            matches.extend(external.matches)
            if external.matches:
                taker_side = external.taker_side
        return External(tuple(changes), tuple(matches), taker_side)

    def difference(
        self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]
    ) -> list[tuple[Side, int, int]]:
        """Return the changes from the recorded levels to these: reductions first, so nothing crosses."""
        changes: list[tuple[Side, int, int]] = []
        for side, levels in ((Side.BID, bids), (Side.ASK, asks)):
            recorded = self._halves[side].recorded
            wanted = dict(levels)
            for price_e4 in sorted(recorded.keys() | wanted.keys()):
                change_e2 = wanted.get(price_e4, 0) - recorded.get(price_e4, 0)
                if change_e2:
                    changes.append((side, price_e4, change_e2))
        changes.sort(key=lambda change: change[2] > 0)
        return changes

    def apply_level(self, side: Side, price_e4: int, change_e2: int, now_ns: int) -> External:  # noqa: ARG002
        """Apply one recorded level change; more than there is takes the level to zero."""
        half = self._halves[side]
        if change_e2 > 0:
            return self._arrive(side, half, price_e4, change_e2)
        return self._leave(side, half, price_e4, min(-change_e2, half.recorded.get(price_e4, 0)))

    def apply_trade(self, taker_side: Side, price_e4: int, qty_e2: int, now_ns: int) -> External:  # noqa: ARG002
        """Push a recorded trade through our queue; its level change comes as its own delta."""
        maker_side = taker_side.opposite
        half = self._halves[maker_side]
        half.traded[price_e4] = half.traded.get(price_e4, 0) + qty_e2
        matches: list[Match] = []
        left_e2 = qty_e2
        for own_e4 in half.own_through(price_e4):
            if own_e4 != price_e4:
                left_e2 -= self._fill(half, own_e4, left_e2, matches)
        if left_e2 and price_e4 in half.queue:
            ours_e2 = 0
            for queued in list(half.queue[price_e4]):
                strangers_e2 = left_e2 - ours_e2
                reach_e2 = strangers_e2 - queued.ahead_e2
                queued.ahead_e2 = max(0, queued.ahead_e2 - strangers_e2)
                if reach_e2 > 0:
                    filled_e2 = min(reach_e2, queued.qty_e2)
                    matches.append(Match(queued.order, price_e4, filled_e2))
                    self._shrink(half, queued, filled_e2)
                    ours_e2 += filled_e2
            left_e2 -= ours_e2
        public = ((price_e4, left_e2),) if left_e2 else ()
        return External((), tuple(matches), taker_side, public)

    def _arrive(self, side: Side, half: _Half, price_e4: int, qty_e2: int) -> External:
        """Rest recorded quantity; what crosses our orders trades with them first."""
        half.recorded[price_e4] = half.recorded.get(price_e4, 0) + qty_e2
        other = self._halves[side.opposite]
        matches: list[Match] = []
        if other.queue:
            left_e2 = qty_e2
            for own_e4 in other.own_through(price_e4):
                left_e2 -= self._fill(other, own_e4, left_e2, matches)
                if not left_e2:
                    break
            if left_e2 != qty_e2:
                half.consumed[price_e4] = half.consumed.get(price_e4, 0) + qty_e2 - left_e2
                qty_e2 = left_e2
        changes = (LevelChange(side, price_e4, qty_e2),) if qty_e2 else ()
        return External(changes, tuple(matches), side)

    def _leave(self, side: Side, half: _Half, price_e4: int, qty_e2: int) -> External:
        """Take recorded quantity away: what was traded from the front, the rest as a cancel."""
        if not qty_e2:
            return _NOTHING
        level_e2 = half.anonymous(price_e4)
        recorded_e2 = half.recorded[price_e4] - qty_e2
        traded_e2 = min(half.traded.get(price_e4, 0), qty_e2)
        cancelled_e2 = qty_e2 - traded_e2
        consumed_e2 = half.consumed.get(price_e4, 0)
        # Of a cancel the consumed part goes first; a trade leaves it, as far as the level still covers it.
        consumed_e2 = min(consumed_e2 - min(consumed_e2, cancelled_e2), recorded_e2)
        _put(half.traded, price_e4, half.traded.get(price_e4, 0) - traded_e2 if recorded_e2 else 0)
        _put(half.consumed, price_e4, consumed_e2)
        _put(half.recorded, price_e4, recorded_e2)
        left_e2 = recorded_e2 - consumed_e2
        if queue := half.queue.get(price_e4):
            gone_e2 = max(0, min(cancelled_e2, level_e2 - left_e2))
            for queued in queue:
                ahead_e2 = ahead_after_cancel(self._model, min(queued.ahead_e2, level_e2), level_e2, gone_e2)
                queued.ahead_e2 = min(ahead_e2, left_e2)
        change_e2 = left_e2 - level_e2
        return External((LevelChange(side, price_e4, change_e2),)) if change_e2 else _NOTHING

    # Own queue -------------------------------------------------------------------------------------

    def _fill(self, half: _Half, price_e4: int, qty_e2: int, matches: list[Match]) -> int:
        """Fill our orders at one price in order of arrival; return how much was filled."""
        filled_e2 = 0
        for queued in list(half.queue.get(price_e4, ())):
            if filled_e2 == qty_e2:
                break
            part_e2 = min(queued.qty_e2, qty_e2 - filled_e2)
            matches.append(Match(queued.order, price_e4, part_e2))
            self._shrink(half, queued, part_e2)
            filled_e2 += part_e2
        return filled_e2

    def _shrink(self, half: _Half, queued: _Queued, by_e2: int) -> None:
        queued.qty_e2 -= by_e2
        if queued.qty_e2 == 0:
            self._drop(half, queued)

    def _drop(self, half: _Half, queued: _Queued) -> None:
        price_e4 = queued.order.price_e4
        queue = half.queue[price_e4]
        queue.remove(queued)
        if not queue:
            del half.queue[price_e4]
        del self._by_id[queued.order.order_id]

    @staticmethod
    def _crossed(order: Order, half: _Half) -> list[int]:
        prices = half.recorded.keys() | half.queue.keys()
        return half.best_first(p for p in prices if order.crosses(p))


def _put(levels: dict[int, int], price_e4: int, qty_e2: int) -> None:
    if qty_e2:
        levels[price_e4] = qty_e2
    else:
        levels.pop(price_e4, None)
