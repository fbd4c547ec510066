"""Prove the balance of each shard: what changed since genesis is exactly what is on record.

For every shard: cash now, minus cash at genesis, equals fills, fees and
settlements of its markets plus the shifts of the funding book. A reading lags, so
each shard may lack the youngest of its events, in venue order; and an entry of
the funding book may have shifted the cash in a few ways. The proof looks for the
reading of all of them together that leaves the least unexplained. What every
perfect reading agrees on is booked; as long as two of them fit, an entry stays
open, for a wrong place chosen today would be a residual tomorrow. More open
deposits than can be tried, as after a restart, are placed together by their total.

Where the venue tells no breakdown, or genesis has none, all shards are one.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from libs.common.kalshi.model import VenueBalance, VenueFunding
from services.reconciler.core.cash import Event, Sums
from services.reconciler.core.funding import FundingBook, Shift, possible

ALL_SHARDS: Final = -2
"""Stands for the account as a whole where shards cannot be told apart."""
_READINGS_MAX: Final = 1_024
"""Up to here every combination is tried; above, deposits are placed together."""

_PASSES_MAX: Final = 2

_Place = Callable[[int], int]
"""From a shard to where its money is proven: itself, or the account as a whole."""
_Moves = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class GenesisCash:
    """Where the proof starts: cash by shard, empty where only the total is known, and when it was read."""

    total_e6: int
    by_shard: Mapping[int, int]
    ms: int


@dataclass(frozen=True, slots=True)
class BalanceProof:
    """What is left unexplained, by shard, in millionths of a dollar; zero everywhere is proven."""

    residuals_e6: Mapping[int, int]
    changes_e6: Mapping[int, int]

    @property
    def total_e6(self) -> int:
        """Return the money that is unexplained in all."""
        return sum(self.residuals_e6.values())


@dataclass(frozen=True, slots=True)
class _Shard:
    """One shard's change, and every sum that its fills and settlements may make, ascending."""

    change_e6: int
    explained_e6: Sequence[int]
    newest_first: Sequence[int]
    """The same sums, that of all events first."""

    def residual_e6(self, shifted_e6: int) -> int:
        """Return the smallest difference; of two equal ones that to all events."""
        wanted_e6 = self.change_e6 - shifted_e6
        at = bisect.bisect_left(self.explained_e6, wanted_e6)
        near = [wanted_e6 - one for one in self.explained_e6[max(0, at - 1) : at + 1]]
        near.append(wanted_e6 - self.newest_first[0])
        return min(reversed(near), key=abs)


def prove_balance(  # noqa: PLR0917 - all that is known of the money
    genesis: GenesisCash,
    balance: VenueBalance,
    old: Sums,
    young: Sequence[Event],
    opening: Sums,
    fundings: FundingBook,
    cutoff_ms: int,
) -> BalanceProof:
    """Return what is unexplained, and book the entries that the balance has decided.

    Args:
        genesis: Cash that the proof starts from.
        balance: Cash as it was just read.
        old: Every event that the balance must show, those before genesis included.
        young: Events that it may lack, in venue order.
        opening: Events before genesis.
        fundings: Money that moved without a fill.
        cutoff_ms: Words noticed before this wall time are in every reading.
    """
    is_split = bool(genesis.by_shard) and bool(balance.by_shard)
    place = _itself if is_split else _as_one
    began = dict(genesis.by_shard) if is_split else {ALL_SHARDS: genesis.total_e6}
    now = dict(balance.by_shard) if is_split else {ALL_SHARDS: balance.total_e6}
    places = {*began, *now, *(place(shard) for shard in old.shards()), *(place(e.shard) for e in young)}
    places |= {place(shard) for shard in fundings.booked_e6}
    landing = sorted(places, reverse=True)
    open_entries = fundings.open()
    choices = [possible(entry, cutoff_ms, genesis.ms, landing) for entry in open_entries]
    places |= {place(shard) for shifts in choices for shift in shifts for shard, _ in shift}

    explained = _explained(old, young, places, place)
    opened, booked = _by_place(opening.cash_by_shard(), place), _by_place(fundings.booked_e6, place)
    changes = {shard: now.get(shard, 0) - began.get(shard, 0) for shard in places}
    shards = {
        shard: _Shard(
            changes[shard] + opened[shard] - booked[shard], sorted(explained[shard]), explained[shard][::-1]
        )
        for shard in sorted(places)
    }
    moves = [[_moved(shift, place) for shift in shifts] for shifts in choices]
    # Without its breakdown a balance decides nothing about shards.
    decides = is_split == bool(genesis.by_shard)
    done = [entry.is_final and entry.noticed_ms < cutoff_ms for entry in open_entries]
    if math.prod(len(shifts) for shifts in choices) > _READINGS_MAX:
        crowd = [
            n for n, entry in enumerate(open_entries) if done[n] and isinstance(entry.record, VenueFunding)
        ]
        together = _together(shards, moves, crowd)
        if together is None:
            return BalanceProof(_residuals(shards, moves, _one_by_one(shards, moves)), changes)
        if decides:
            fundings.book_all([open_entries[n] for n in crowd], [choices[n][-1] for n in crowd], together)
        return BalanceProof(dict.fromkeys(shards, 0), changes)
    readings = _best(shards, moves)
    residuals = _residuals(shards, moves, readings[0])
    if not any(residuals.values()) and decides:
        for number, entry in enumerate(open_entries):
            fitting = {reading[number] for reading in readings}
            first = min(fitting)
            is_one = all(moves[number][at] == moves[number][first] for at in fitting)
            if done[number] and is_one:
                fundings.book(entry, choices[number][max(fitting)])
    return BalanceProof(residuals, changes)


def _explained(
    old: Sums, young: Iterable[Event], places: Iterable[int], place: _Place
) -> dict[int, list[int]]:
    """Return, for each place, its cash by the old events and after each young one."""
    began = _by_place(old.cash_by_shard(), place)
    explained = {shard: [began[shard]] for shard in places}
    running: dict[str, Sums] = {}
    for event in young:
        sums = running.get(event.market)
        if sums is None:
            sums = running[event.market] = old.of_market(event.market)
        before_e6 = sums.market_cash_e6(event.market)
        sums.apply(event)
        steps = explained[place(event.shard)]
        steps.append(steps[-1] + sums.market_cash_e6(event.market) - before_e6)
    return explained


def _best(shards: Mapping[int, _Shard], choices: Sequence[Sequence[_Moves]]) -> list[tuple[int, ...]]:
    """Return the readings of all entries that leave least, as places in the choices, the likeliest first."""
    least: int | None = None
    best: list[tuple[int, ...]] = []
    for reading in itertools.product(*(range(len(shifts) - 1, -1, -1) for shifts in choices)):
        left = _left(shards, choices, reading)
        if least is None or left < least:
            least, best = left, []
        if left == least:
            best.append(reading)
    return best


def _together(
    shards: Mapping[int, _Shard], choices: Sequence[Sequence[_Moves]], crowd: Sequence[int]
) -> dict[int, int] | None:
    """Return what a crowd of entries shifted on each shard together, None if its total does not fit.

    Where each of them landed is not looked for: too many readings would fit. Their total must, to the last
    unit, under some reading of the other entries and of the young events.
    """
    if not crowd:
        return None
    totals = {0}
    for entry in crowd:
        totals = {total + sum(moves.values()) for total in totals for moves in choices[entry]}
        if len(totals) > _READINGS_MAX:
            return None
    sums = [[sum(moves.values()) for moves in choices[entry]] for entry in crowd]
    lowest, highest = sum(min(0, *one) for one in sums), sum(max(0, *one) for one in sums)
    others = [moves for entry, moves in enumerate(choices) if entry not in set(crowd)]
    if math.prod(len(moves) for moves in others) > _READINGS_MAX:
        return None
    readings = itertools.product(*(reversed(moves) for moves in others))
    lags = list(
        itertools.islice(itertools.product(*(s.newest_first for s in shards.values())), _READINGS_MAX)
    )
    for reading in readings:
        moved: dict[int, int] = defaultdict(int)
        for moves in reading:
            for shard, amount_e6 in moves.items():
                moved[shard] += amount_e6
        for lag in lags:
            pairs = zip(shards.items(), lag, strict=True)
            found = {shard: one.change_e6 - moved[shard] - lag_e6 for (shard, one), lag_e6 in pairs}
            if sum(found.values()) in totals and all(lowest <= e6 <= highest for e6 in found.values()):
                return found
    return None


def _one_by_one(shards: Mapping[int, _Shard], choices: Sequence[Sequence[_Moves]]) -> list[int]:
    """Return a good reading of too many entries to try: each where it leaves least, until none moves."""
    reading = [len(moves) - 1 for moves in choices]
    for _ in range(_PASSES_MAX):
        before = list(reading)
        for entry, moves in enumerate(choices):
            tried = [[*reading[:entry], at, *reading[entry + 1 :]] for at in range(len(moves) - 1, -1, -1)]
            reading = min(tried, key=lambda one: _left(shards, choices, one))
        if reading == before:
            break
    return reading


def _left(shards: Mapping[int, _Shard], choices: Sequence[Sequence[_Moves]], reading: Sequence[int]) -> int:
    return sum(abs(residual) for residual in _residuals(shards, choices, reading).values())


def _residuals(
    shards: Mapping[int, _Shard], choices: Sequence[Sequence[_Moves]], reading: Sequence[int]
) -> dict[int, int]:
    moved: dict[int, int] = defaultdict(int)
    for shifts, at in zip(choices, reading, strict=True):
        for shard, amount_e6 in shifts[at].items():
            moved[shard] += amount_e6
    return {shard: one.residual_e6(moved[shard]) for shard, one in shards.items()}


def _moved(shift: Shift, place: _Place) -> _Moves:
    moved: dict[int, int] = defaultdict(int)
    for shard, amount_e6 in shift:
        moved[place(shard)] += amount_e6
    return {shard: amount_e6 for shard, amount_e6 in moved.items() if amount_e6}


def _by_place(amounts_e6: Mapping[int, int], place: _Place) -> dict[int, int]:
    placed: dict[int, int] = defaultdict(int)
    for shard, amount_e6 in amounts_e6.items():
        placed[place(shard)] += amount_e6
    return placed


def _itself(shard: int) -> int:
    return shard


def _as_one(shard: int) -> int:  # noqa: ARG001 - every shard is the whole
    return ALL_SHARDS
