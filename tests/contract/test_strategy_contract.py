"""What every strategy of the registry keeps, whatever it thinks a contract is worth.

A new entry is tested here before its author writes a test (style, "Extending").
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.grid import PriceGrid
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.base import encode
from libs.common.messages.execution import PositionV1
from libs.common.messages.market import BookV1, MarketState
from libs.common.messages.target import TargetV1
from services.strategy.core.pipeline import decide
from services.strategy.core.registry import STRATEGIES
from tests.support.book_strategies import books, positions
from tests.support.market_builders import NOW_MS, book, position
from tests.support.strategy_builders import plan

NAMES = sorted(STRATEGIES)
_REASONS = {reason.value for reason in Reason}
each = pytest.mark.parametrize("name", NAMES)


def _quotes(target: TargetV1) -> dict[Side, tuple[int, int]]:
    return {quote.side: (quote.price_e4, quote.qty_e2) for quote in target.quotes}


@each
@settings(max_examples=150, deadline=None)
@given(
    seen=books(two_sided=False),
    held=positions(),
    limits=st.tuples(st.integers(0, 5_000), st.integers(0, 20_000)),
)
def test_quotes_are_sound_on_any_book(
    name: str, seen: BookV1, held: PositionV1, limits: tuple[int, int]
) -> None:
    """On the grid, crossing neither itself nor the displayed touch, within caps, each side explained."""
    size_e2, inventory_e2_max = limits
    target = decide(seen, held, plan(name, size_e2=size_e2, inventory_e2_max=inventory_e2_max))
    quotes = _quotes(target)
    grid = PriceGrid.of(seen.grid)
    for side, (price_e4, qty_e2) in quotes.items():
        assert grid.is_on_grid(price_e4)
        assert 0 < qty_e2 <= 2 * size_e2
        after_e2 = held.qty_e2 + side.sign * qty_e2
        assert abs(after_e2) <= max(inventory_e2_max, abs(held.qty_e2))
    if Side.BID in quotes:
        assert quotes[Side.BID][0] < seen.asks[0][0]
    if Side.ASK in quotes:
        assert quotes[Side.ASK][0] > seen.bids[0][0]
    if len(quotes) == 2:
        assert quotes[Side.BID][0] < quotes[Side.ASK][0]
    sides = [quote.side for quote in target.quotes] + [silence.side for silence in target.silences]
    assert sorted(sides) == sorted(Side)
    assert all(silence.reason in _REASONS for silence in target.silences)


@each
@settings(max_examples=80, deadline=None)
@given(seen=books(), held=positions())
def test_reduce_only_never_opens_nor_passes_flat(name: str, seen: BookV1, held: PositionV1) -> None:
    target = decide(seen, held, plan(name, reduce_only=True, inventory_e2_max=100_000))
    for side, (_, qty_e2) in _quotes(target).items():
        assert side.sign * held.qty_e2 < 0
        assert qty_e2 <= abs(held.qty_e2)


@each
@settings(max_examples=60, deadline=None)
@given(seen=books(), held=positions())
def test_equal_inputs_give_equal_bytes(name: str, seen: BookV1, held: PositionV1) -> None:
    assert encode(decide(seen, held, plan(name))) == encode(decide(seen, held, plan(name)))


@each
@pytest.mark.parametrize(
    "changes",
    [
        {"bids": (), "asks": ()},
        {"bids": ()},
        {"asks": ()},
        {"is_stale": True},
        {"bids": ((5_200, 100),)},
        {"bids": ((5_100, 100),)},
        {"state": MarketState.CLOSED},
        {"trading_active": False},
        {"close_ms": NOW_MS},
    ],
)
def test_nothing_is_quoted_on_an_empty_stale_crossed_or_closed_book(
    name: str, changes: dict[str, Any]
) -> None:
    target = decide(book(**changes), position(), plan(name))
    assert target.quotes == ()
    assert sorted(silence.side for silence in target.silences) == sorted(Side)


@each
def test_nothing_is_quoted_unless_enabled_twice(name: str) -> None:
    assert decide(book(), position(), plan(name)).quotes
    assert not decide(book(), position(), plan(name, trading_enabled=False)).quotes
    assert not decide(book(), position(), plan(name, enabled=False)).quotes
    assert not decide(book(), None, plan(name)).quotes
    assert not decide(book(), position(has_unknown=True), plan(name)).quotes


@each
def test_stages_that_protect_cannot_be_turned_off(name: str) -> None:
    protecting = {step.name for step in STRATEGIES[name].steps if step.protects}
    assert {
        "permission",
        "own_state",
        "market_state",
        "two_sided",
        "caps",
        "reduce_only",
        "snap",
    } <= protecting


_PROGRAM = """
import sys
from libs.common.messages.base import encode
from services.strategy.core.pipeline import decide
from tests.support.market_builders import book, features, position, sibling
from tests.support.strategy_builders import plan
from libs.common.domain.side import Side
for name in ("dora-maker", "join-best"):
    for qty in (-3_000, 0, 777):
        for bid in (310, 4_930, 9_610):
            seen = book(
                ((bid, 1_234), (bid - 10, 99)), ((bid + 70, 4_321),), steps=((0, 10_000, 10),),
                features=features(bid + 35, micro_e4=bid + 41.7, variance_e8_s=1234.5),
                siblings=(sibling("B", 300, 400), sibling("A", 7_000, 7_100)),
            )
            held = position(qty, ((Side.BID, bid, 34),))
            sys.stdout.buffer.write(encode(decide(seen, held, plan(name))) + b"\\n")
"""


def test_two_processes_with_other_hash_seeds_give_the_same_bytes() -> None:
    """F-003: replicas agree to the byte."""
    root = Path(__file__).resolve().parents[2]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "4242")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].splitlines()) == 18
