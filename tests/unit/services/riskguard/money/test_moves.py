"""Which moves of money make up a change."""

from __future__ import annotations

import pytest

from services.riskguard.core.money.moves import Move, explain

A = Move("a", 0, (-100,), 3)
B = Move("b", 0, (70, 65), 2)
C = Move("c", None, (7,), 1)


@pytest.mark.parametrize(
    ("change_e6", "keys"),
    [
        (0, ()),
        (-100, ("a",)),
        (70, ("b",)),
        (65, ("b",)),
        (-30, ("a", "b")),
        (-28, ("a", "b", "c")),
        (135, None),
        (1, None),
    ],
)
def test_each_move_counts_once_and_to_the_last_unit(change_e6: int, keys: tuple[str, ...] | None) -> None:
    assert explain(change_e6, (C, A, B)) == keys


def test_only_the_newest_are_tried() -> None:
    old = [Move(f"m{number}", 0, (1 << number,), 100 + number) for number in range(8)]
    assert explain(-100, (A, *old)) is None
    assert explain(255, (A, *old)) == tuple(f"m{number}" for number in reversed(range(8)))
