"""When a difference counts: never at first sight.

Three witnesses are never asked at the same instant and the venue's reads lag
its writes, so every honest comparison of moving things shows differences. Two
filters take them out. A position is first explained by the young fills: whatever
it equals along their way is right (`cash.py`). What remains must be seen again,
unchanged, in the next comparison; one that changes each time counts after twice
as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.reconciler.core.cash import Event, Sums, position_residual_e2
from services.reconciler.core.diff import Difference, Kind

Key = tuple[Kind, str]


def explained_positions(
    says: Mapping[str, int],
    markets: Iterable[str],
    old: Sums,
    young: Sequence[Event],
    final: Mapping[str, int],
) -> dict[str, int]:
    """Return each market's claim, moved to where it would be had everybody read at the same time.

    A claim that equals the older events plus a first few young ones becomes the
    final position; one that does not keeps its smallest residual against it.
    """
    return {
        market: final[market] + position_residual_e2(old, young, market, says[market])
        for market in markets
        if market in says
    }


@dataclass(frozen=True, slots=True)
class Ripe:
    """A difference that counts, in how many comparisons in a row it was seen, and when the first began."""

    difference: Difference
    cycles: int
    first_ns: int = 0


@dataclass(slots=True)
class _Seen:
    difference: Difference
    residual: int
    unchanged: int
    cycles: int
    counted_ns: int
    first_ns: int


@dataclass(slots=True)
class Ripening:
    """Counts in how many comparisons in a row each difference was seen.

    Comparisons closer together than ``gap_ns`` count as one: asked twice within
    the venue's read lag, it says the same stale thing twice.
    """

    confirm_cycles: int
    gap_ns: int
    _seen: dict[Key, _Seen] = field(default_factory=dict)

    def cycle(
        self,
        differences: Iterable[Difference],
        started_ns: int,
        unread: frozenset[Kind] = frozenset(),
    ) -> tuple[list[Ripe], list[Difference]]:
        """Take one comparison; return what counts now and what is still ripening.

        Args:
            differences: All that the comparison shows.
            started_ns: When its reading began, monotonic.
            unread: Kinds about which it could say nothing; what was known of them stands as it stood.
        """
        ripe: list[Ripe] = []
        green: list[Difference] = []
        seen = {key: one for key, one in self._seen.items() if key[0] in unread}
        for difference in differences:
            key = (difference.kind, difference.key)
            seen[key] = self._again(self._seen.get(key), difference, started_ns)
        for now in seen.values():
            if now.unchanged >= self.confirm_cycles or now.cycles >= 2 * self.confirm_cycles:
                ripe.append(Ripe(now.difference, now.cycles, now.first_ns))
            else:
                green.append(now.difference)
        self._seen = seen
        return ripe, green

    def _again(self, before: _Seen | None, difference: Difference, started_ns: int) -> _Seen:
        residual = difference.residual
        if before is None:
            return _Seen(difference, residual, 1, 1, started_ns, started_ns)
        if started_ns - before.counted_ns < self.gap_ns:
            return replace(before, difference=difference)
        unchanged = before.unchanged + 1 if before.residual == residual else 1
        return _Seen(difference, residual, unchanged, before.cycles + 1, started_ns, before.first_ns)
