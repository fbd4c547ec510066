"""Each shard's equity, and how far it fell: what trading lost, and what nothing explains.

Cash alone moves whenever we buy, and a balance is never read at the instant of
our own books. So the balance is used for one thing only: what our fills and
settlements do not explain of it. That number stands still while all is well.

    equity = unexplained + cash by our books + liquidation value of what is held

Rules of the file:

* A reading lags behind fills. Any balance that equals the older ones plus the
  first few of the young, in venue order, says that nothing changed.
* A change that moves of money make up exactly is followed by the baselines: it
  is neither a loss nor a gain.
* Another change counts once two readings in a row may mean the same, and our
  account was read anew between them: else a settlement that we have not heard of
  looks like a gain. Money that grows less and less, no two readings alike, counts
  after three: the mildest of what the last may mean.
* Baselines are the day's opening and the day's peak; a new day starts both again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.common.messages.risk import ShardStateV1
from services.riskguard.core.account import Account, ShardSum
from services.riskguard.core.money.moves import Move, explain

_YOUNG_MS: Final = 3_000
"""Reads lag half a second; more than that is no excuse, but clocks differ."""
_BEFORE_FIRST_MS: Final = 60_000
_LAG_NS: Final = 1_000_000_000
"""An account whose reading began this long after a balance was told knows everything that was in it."""
_LOOKS_MAX: Final = 3
_FIRST_LOOKS_MAX: Final = 10
_USED_MAX: Final = 1_000
_NOTHING: Final = ShardSum()


@dataclass(frozen=True, slots=True)
class BalanceReading:
    """What the venue said of our money.

    Attributes:
        read_ms: Wall clock before the first request.
        by_shard: Cash of each shard.
        moves: Everything that was moved, pending moves included.
    """

    read_ms: int
    by_shard: Mapping[int, int]
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Readings that may mean another number than we have, and since when, monotonic."""

    meanings: frozenset[int]
    since_ns: int
    looks: int = 1

    def agreed(self, meanings: frozenset[int], read_ns: int) -> frozenset[int]:
        """Return what this reading and the one before may both mean, where the account was read between."""
        return self.meanings & meanings if read_ns >= self.since_ns + _LAG_NS else frozenset()

    def after(self, meanings: frozenset[int], now_ns: int) -> _Doubt:
        """Return the doubt that another reading leaves."""
        shared = self.meanings & meanings
        if shared:
            return _Doubt(shared, self.since_ns, self.looks + 1)
        return _Doubt(meanings, now_ns, self.looks + 1)


@dataclass(slots=True)
class _Shard:
    unexplained_e6: int
    opening_e6: int
    high_e6: int | None = None
    doubt: _Doubt | None = None


@dataclass(frozen=True, slots=True)
class Drops:
    """How far equity lies below the higher of its baselines, never negative."""

    total_e6: int = 0
    shards: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Balances:
    """The account's money, shard by shard."""

    total_high_e6: int | None = None
    moves_since_ms: int = 0
    used: dict[str, None] = field(default_factory=dict)
    """Moves that the baselines follow already, oldest first."""
    _shards: dict[int, _Shard] = field(default_factory=dict)
    _first: dict[int, _Doubt] = field(default_factory=dict)
    """Shards of which nothing is known yet."""

    @property
    def is_in_doubt(self) -> bool:
        """Return whether the newest reading needs another one soon."""
        return bool(self._first) or any(shard.doubt for shard in self._shards.values())

    @property
    def is_known(self) -> bool:
        """Return whether a balance was read and understood."""
        return bool(self._shards)

    def on_reading(self, reading: BalanceReading, account: Account, now_ns: int) -> None:
        """Take one reading of the balance."""
        assert account.read_ns is not None, "an account to compare with"
        sums = account.shards(now_ns)
        if not self.moves_since_ms:
            self.moves_since_ms = reading.read_ms - _BEFORE_FIRST_MS
        for shard, balance_e6 in reading.by_shard.items():
            cash_e6 = sums.get(shard, _NOTHING).cash_e6
            young = account.young_cash(shard, reading.read_ms - _YOUNG_MS)
            meanings = _meanings(balance_e6, cash_e6, [e6 for _, e6 in young])
            known = self._shards.get(shard)
            if known is None:
                self._on_first(shard, meanings, account.read_ns, now_ns)
            elif known.unexplained_e6 in meanings or self._follow(shard, known, meanings, reading.moves):
                known.doubt = None
            else:
                _on_change(known, meanings, account.read_ns, now_ns)

    def begin_day(self) -> None:
        """Begin a new day: what is unexplained now is its opening."""
        self.total_high_e6 = None
        for shard in self._shards.values():
            shard.opening_e6, shard.high_e6 = shard.unexplained_e6, None

    def drops(self, account: Account, now_ns: int) -> Drops:
        """Return how far equity fell, and move the peaks."""
        if not self._shards:
            return Drops()
        sums, may_peak = account.shards(now_ns), account.is_marked(now_ns)
        total_e6 = opening_e6 = 0
        fell: dict[int, int] = {}
        for name, shard in self._shards.items():
            ours = sums.get(name, _NOTHING)
            now_e6 = shard.unexplained_e6 + ours.cash_e6 + ours.worth_e6
            began_e6 = shard.opening_e6 + ours.opening_e6
            if may_peak:
                shard.high_e6 = now_e6 if shard.high_e6 is None else max(shard.high_e6, now_e6)
            fell[name] = max(0, began_e6 - now_e6, (shard.high_e6 or now_e6) - now_e6)
            total_e6 += now_e6
            opening_e6 += began_e6
        if may_peak:
            self.total_high_e6 = max(total_e6, total_e6 if self.total_high_e6 is None else self.total_high_e6)
        high_e6 = total_e6 if self.total_high_e6 is None else self.total_high_e6
        return Drops(max(0, opening_e6 - total_e6, high_e6 - total_e6), fell)

    def equity_e6(self, account: Account, now_ns: int) -> int | None:
        """Return what everything is worth now, None before a balance was read."""
        if not self._shards:
            return None
        sums = account.shards(now_ns)
        ours = (sums.get(name, _NOTHING) for name in self._shards)
        unexplained_e6 = sum(shard.unexplained_e6 for shard in self._shards.values())
        return unexplained_e6 + sum(s.cash_e6 + s.worth_e6 for s in ours)

    def states(self) -> tuple[ShardStateV1, ...]:
        """Return what a restart must not forget."""
        return tuple(
            ShardStateV1(
                shard=name,
                unexplained_e6=shard.unexplained_e6,
                opening_e6=shard.opening_e6,
                high_e6=shard.high_e6,
            )
            for name, shard in sorted(self._shards.items())
            if shard.high_e6 is not None
        )

    def restore(
        self,
        states: Iterable[ShardStateV1],
        total_high_e6: int | None,
        moves_since_ms: int,
        moves_used: Iterable[str],
    ) -> None:
        """Take what was stored today; readings that came before it are forgotten and asked for again."""
        self._shards = {s.shard: _Shard(s.unexplained_e6, s.opening_e6, s.high_e6) for s in states}
        self._first.clear()
        self.total_high_e6, self.moves_since_ms = total_high_e6, moves_since_ms
        self.used = dict.fromkeys(moves_used)

    def _on_first(self, name: int, meanings: frozenset[int], read_ns: int, now_ns: int) -> None:
        doubt = self._first.pop(name, None)
        agreed = frozenset[int]() if doubt is None else doubt.agreed(meanings, read_ns)
        if agreed or (doubt is not None and doubt.looks + 1 >= _FIRST_LOOKS_MAX):
            unexplained_e6 = min(agreed or meanings)
            self._shards[name] = _Shard(unexplained_e6, unexplained_e6)
        else:
            self._first[name] = _Doubt(meanings, now_ns) if doubt is None else doubt.after(meanings, now_ns)

    def _follow(self, name: int, shard: _Shard, meanings: frozenset[int], moves: tuple[Move, ...]) -> bool:
        """Let the baselines follow money that was moved, and return whether that explains the change."""
        free = [
            move
            for move in moves
            if move.shard in (None, name) and move.at_ms >= self.moves_since_ms and move.key not in self.used
        ]
        for meaning_e6 in sorted(meanings, reverse=True) if free else ():
            change_e6 = meaning_e6 - shard.unexplained_e6
            keys = explain(change_e6, free)
            if keys is None:
                continue
            self.used.update(dict.fromkeys(keys))
            while len(self.used) > _USED_MAX:
                self.used.pop(next(iter(self.used)))
            shard.unexplained_e6 = meaning_e6
            shard.opening_e6 += change_e6
            if shard.high_e6 is not None:
                shard.high_e6 += change_e6
            if self.total_high_e6 is not None:
                self.total_high_e6 += change_e6
            return True
        return False


def _on_change(shard: _Shard, meanings: frozenset[int], read_ns: int, now_ns: int) -> None:
    doubt = shard.doubt
    if doubt is None:
        shard.doubt = _Doubt(meanings, now_ns)
        return
    agreed = doubt.agreed(meanings, read_ns)
    runs_away = doubt.looks + 1 >= _LOOKS_MAX and max(meanings) < shard.unexplained_e6
    if agreed or runs_away:
        shard.unexplained_e6, shard.doubt = max(agreed or meanings), None
    else:
        shard.doubt = doubt.after(meanings, now_ns)


def _meanings(balance_e6: int, cash_e6: int, young: list[int]) -> frozenset[int]:
    """Return what may be unexplained of a balance that may lack any number of the last young events."""
    found, missing_e6 = {balance_e6 - cash_e6}, 0
    for change_e6 in reversed(young):
        missing_e6 += change_e6
        found.add(balance_e6 - cash_e6 + missing_e6)
    return frozenset(found)
