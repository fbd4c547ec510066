"""Money that is moved without trading: transfers between shards, deposits, withdrawals.

A move explains a change of balance once. When it arrives is told late or never
(a transfer has only the time it was asked for, a deposit does not say where), so
moves are not dated: whatever set of them makes up the change is used up by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_TRIED_MAX: Final = 8
"""Moves tried against one change; the newest."""


@dataclass(frozen=True, slots=True)
class Move:
    """One leg of a move.

    Attributes:
        key: Names it.
        shard: Where, None for anywhere: the venue does not tell where a deposit goes.
        amounts_e6: What it may change the balance by, signed; with and without its fee.
        at_ms: When it was asked for, or became final.
    """

    key: str
    shard: int | None
    amounts_e6: tuple[int, ...]
    at_ms: int


def explain(change_e6: int, moves: Sequence[Move]) -> tuple[str, ...] | None:
    """Return the keys of moves that together are exactly this change, or None where no set of them is."""
    newest = sorted(moves, key=lambda move: (-move.at_ms, move.key))[:_TRIED_MAX]
    return _explain(change_e6, newest)


def _explain(change_e6: int, moves: Sequence[Move]) -> tuple[str, ...] | None:
    if change_e6 == 0:
        return ()
    for at, move in enumerate(moves):
        for amount_e6 in move.amounts_e6:
            rest = _explain(change_e6 - amount_e6, moves[at + 1 :])
            if rest is not None:
                return (move.key, *rest)
    return None
