"""Which decisions are worth a message: those that change something, or renew what would expire.

Every book yields a decision; the executor needs to hear of it when quotes or
reasons changed, or when the target it holds comes near its expiry. With several
replicas in one queue group no replica knows what another said last, so then
every decision is sent.
"""

from __future__ import annotations

from libs.common.messages.target import TargetV1

_Outcome = tuple[tuple[tuple[str, int, int], ...], tuple[tuple[str, str], ...]]


class Pace:
    """What this instance last published per market."""

    def __init__(self, *, is_alone: bool) -> None:
        self._is_alone = is_alone
        self._said: dict[str, tuple[_Outcome, str, int, int]] = {}

    def judge(self, target: TargetV1) -> tuple[bool, bool]:
        """Return whether to publish the target, and whether its outcome changed; counts it as published."""
        outcome = _outcome(target)
        said = self._said.get(target.market)
        life_ms = target.expires_ms - target.book_as_of_ms
        is_changed = said is None or said[0] != outcome or said[1] != target.strategy
        is_due = (
            is_changed
            or not self._is_alone
            or said is None
            or target.position_epoch != said[3]
            or said[2] - target.book_as_of_ms <= life_ms // 2
        )
        if is_due:
            self._said[target.market] = (outcome, target.strategy, target.expires_ms, target.position_epoch)
        return is_due, is_changed

    def forget(self, market: str) -> None:
        """Publish this market's next decision whatever it is: the last one may not have left."""
        self._said.pop(market, None)


def _outcome(target: TargetV1) -> _Outcome:
    return (
        tuple([(quote.side.value, quote.price_e4, quote.qty_e2) for quote in target.quotes]),
        # Without the detail: it may hold a number that moves with time.
        tuple([(silence.side.value, silence.reason) for silence in target.silences]),
    )
