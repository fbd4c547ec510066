"""Choose how each change travels, so that the most are placed soonest and with the fewest calls.

The venue bills a batch to the unscoped bucket, whatever shards its orders go to, and a
single request to the bucket of its own shard; each bucket has the whole tier's rate
(kalshi-api 5.4). So every shard above 0 adds as much capacity as the unscoped bucket
has, for requests that travel alone; and a batch costs one call for twenty orders.

Rules of the file (frontier 4.12):

1. First as many as possible go now: each change takes its own shard's bucket if that
   pays, else the unscoped one. No change waits while some bucket could pay for it.
2. Then calls are saved: what the unscoped bucket still holds above its low water turns
   single requests into items of a batch. A price that could be amended needs company
   for that: alone, an amend is one call and no wait for a cancel.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

UNSCOPED: Final = 0


class Way(enum.StrEnum):
    """How a change travels."""

    BATCH = "batch"
    """With others, paid by the unscoped bucket."""
    SINGLE = "single"
    """Alone: an amend, or a create; paid by its shard's bucket."""
    WAIT = "wait"
    """Nothing pays for it now."""


@dataclass(frozen=True, slots=True)
class Load:
    """One change, and what it costs by either way.

    Attributes:
        shard: Of its market.
        batch: Tokens of the unscoped bucket as part of a batch; None where it can not be one.
        single: Tokens of its shard's bucket alone; None where it can not go alone.
        beside: Tokens of the unscoped bucket that the single way needs too: its order's cancel.
        is_move: Whether alone it is an amend.
    """

    shard: int
    batch: int | None
    single: int | None
    beside: int = 0
    is_move: bool = False


def choose(
    loads: Sequence[Load], tokens: Mapping[int, int], *, moves_min: int = 1, low_water: int = 0
) -> list[Way]:
    """Return a way for each load; loads are in the order of their weight.

    Args:
        loads: Changes, the most important first.
        tokens: What each bucket can spend now; a shard that is missing has nothing.
        moves_min: Amends become part of a batch that would have at least so many items; 0 never.
        low_water: Tokens of the unscoped bucket that saving calls may not take.
    """
    left = {UNSCOPED: 0, **tokens}
    ways = [_soonest(load, left) for load in loads]
    _save_calls(loads, ways, left, moves_min, low_water)
    return ways


def _soonest(load: Load, left: dict[int, int]) -> Way:
    if load.single is not None and load.shard > UNSCOPED:
        is_paid = left.get(load.shard, 0) >= load.single and left.get(UNSCOPED, 0) >= load.beside
        if is_paid:
            left[load.shard] -= load.single
            left[UNSCOPED] -= load.beside
            return Way.SINGLE
    unscoped = left.get(UNSCOPED, 0)
    alone = load.single + load.beside if load.single is not None and load.shard <= UNSCOPED else None
    options = [
        (cost, way) for cost, way in ((load.batch, Way.BATCH), (alone, Way.SINGLE)) if cost is not None
    ]
    for cost, way in sorted(options, key=lambda option: option[0]):
        if cost <= unscoped:
            left[UNSCOPED] = unscoped - cost
            return way
    return Way.WAIT


def _save_calls(
    loads: Sequence[Load], ways: list[Way], left: dict[int, int], moves_min: int, low_water: int
) -> None:
    spare = left.get(UNSCOPED, 0)
    chosen: list[int] = []
    singles = [
        index for index, way in enumerate(ways) if way is Way.SINGLE and loads[index].batch is not None
    ]
    # The unscoped bucket's own shard first: there a batch costs a cancel more and takes from nobody else.
    # Then creates: alone they cost a call and gain nothing. Amends keep an order's name and a round trip.
    singles.sort(key=lambda index: (loads[index].shard > UNSCOPED, loads[index].is_move))
    for index in singles:
        load = loads[index]
        assert load.batch is not None, load
        assert load.single is not None, load
        if load.is_move and not moves_min:
            continue
        is_own = load.shard <= UNSCOPED
        cost = load.batch - load.beside - (load.single if is_own else 0)
        if spare - cost < (0 if is_own else low_water):
            continue
        spare -= cost
        chosen.append(index)
    company = len(chosen) + ways.count(Way.BATCH)
    for index in chosen:
        if not loads[index].is_move or company >= moves_min:
            ways[index] = Way.BATCH
