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
* Another change counts once two readings in a row may mean the same, or after
  three that agree on nothing: the mildest of what they may mean.
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
_DOUBTS_MAX: Final = 3
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


@dataclass(slots=True)
class _Shard:
    unexplained_e6: int
    opening_e6: int
    high_e6: int | None = None
    doubt: frozenset[int] = frozenset()
    doubts: int = 0


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
    _first: dict[int, tuple[frozenset[int], int]] = field(default_factory=dict)
    """Shards seen once: what they may mean, and how often they disagreed."""

    @property
    def is_in_doubt(self) -> bool:
        """Return whether the newest reading needs another one soon."""
        return bool(self._first) or any(shard.doubts for shard in self._shards.values())

    @property
    def is_known(self) -> bool:
        """Return whether a balance was read and understood."""
        return bool(self._shards)

    def on_reading(self, reading: BalanceReading, account: Account, now_ns: int) -> None:
        """Take one reading of the balance."""
        sums = account.shards(now_ns)
        if not self.moves_since_ms:
            self.moves_since_ms = reading.read_ms - _BEFORE_FIRST_MS
        for shard, balance_e6 in reading.by_shard.items():
            cash_e6 = sums.get(shard, _NOTHING).cash_e6
            young = account.young_cash(shard, reading.read_ms - _YOUNG_MS)
            self._on_shard(shard, _meanings(balance_e6, cash_e6, [e6 for _, e6 in young]), reading.moves)

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

    def _on_shard(self, name: int, meanings: frozenset[int], moves: tuple[Move, ...]) -> None:
        shard = self._shards.get(name)
        if shard is None:
            self._on_first(name, meanings)
        elif shard.unexplained_e6 in meanings:
            shard.doubt, shard.doubts = frozenset(), 0
        elif not self._follow(name, shard, meanings, moves):
            shard.doubts += 1
            agreed = shard.doubt & meanings
            if agreed or shard.doubts >= _DOUBTS_MAX:
                shard.unexplained_e6 = max(agreed or meanings)
                shard.doubt, shard.doubts = frozenset(), 0
            else:
                shard.doubt = meanings

    def _on_first(self, name: int, meanings: frozenset[int]) -> None:
        doubt, doubts = self._first.pop(name, (frozenset[int](), 0))
        agreed = doubt & meanings
        if agreed or doubts + 1 >= _DOUBTS_MAX:
            unexplained_e6 = max(agreed or meanings)
            self._shards[name] = _Shard(unexplained_e6, unexplained_e6)
        else:
            self._first[name] = (meanings, doubts + 1)

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
            shard.unexplained_e6, shard.doubt, shard.doubts = meaning_e6, frozenset(), 0
            shard.opening_e6 += change_e6
            if shard.high_e6 is not None:
                shard.high_e6 += change_e6
            if self.total_high_e6 is not None:
                self.total_high_e6 += change_e6
            return True
        return False


def _meanings(balance_e6: int, cash_e6: int, young: list[int]) -> frozenset[int]:
    """Return what may be unexplained of a balance that may lack any number of the last young events."""
    found, missing_e6 = {balance_e6 - cash_e6}, 0
    for change_e6 in reversed(young):
        missing_e6 += change_e6
        found.add(balance_e6 - cash_e6 + missing_e6)
    return frozenset(found)
