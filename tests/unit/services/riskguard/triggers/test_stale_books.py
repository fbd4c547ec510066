"""Books of markets that we are in: what makes one unbelievable, and what is none of our business."""

from __future__ import annotations

from typing import Any

from libs.common.kalshi.model import OwnFill
from libs.common.messages.market import MarketState, TopV1
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import WIDE
from tests.support.truth_builders import MS, NOW_MS, S, top, venue_fill

NAME = "stale_books"
STALE_MS = 5_000
"""As `tests.support.guards.guard` is patient."""


def holding(first: TopV1 | None) -> RiskguardCore:
    """Return a guard that holds something in a market and heard this touch of it, at second one."""
    core = running_guard()
    if first is not None:
        core.on_top(first, S)
    core.on_feed(OwnFill(venue_fill()), S)
    return core


def young(at_ns: int, **changes: Any) -> TopV1:
    return top(as_of_ms=NOW_MS + at_ns // MS, **changes)


def test_it_fires_for_any_book_and_pauses() -> None:
    assert check(NAME, View(), WIDE) is None
    fired = check(NAME, View(stale_books=("A: book is stale",)), WIDE)
    assert fired is not None
    assert not fired.is_latching
    assert "A: book is stale" in fired.text


def test_a_book_is_too_old_one_millisecond_after_the_limit_by_exchange_time() -> None:
    core = holding(young(S))
    core.on_top(young(S, sequence=2), 6 * S)  # heard just now, and as old as before
    tick(core, S + STALE_MS * MS)
    assert NAME not in red(core)
    tick(core, S + STALE_MS * MS + MS)
    assert NAME in red(core)


def test_a_book_that_is_not_heard_any_more_is_too_old_whatever_it_said() -> None:
    core = holding(top(as_of_ms=NOW_MS + 60_000))
    tick(core, S + STALE_MS * MS)
    assert NAME not in red(core)
    tick(core, S + STALE_MS * MS + MS)
    assert NAME in red(core)


def test_the_producers_own_word_counts_and_is_taken_back() -> None:
    core = holding(young(S, is_stale=True))
    assert halts(tick(core, S)) == []
    assert NAME in red(core)
    assert not core.permit(S)[0]
    core.on_top(young(2 * S, sequence=2), 2 * S)
    tick(core, 2 * S)
    assert NAME not in red(core)


def test_books_of_markets_that_are_over_or_were_never_shown_do_not_count() -> None:
    for first in (
        young(S, state=MarketState.FINALIZED),
        young(S, close_ms=NOW_MS + 2_000, is_stale=True),
        None,
    ):
        core = holding(first)
        tick(core, 20 * S)
        assert NAME not in red(core)


def test_books_of_markets_that_we_are_not_in_do_not_count() -> None:
    core = running_guard()
    core.on_top(young(S, is_stale=True), S)
    tick(core, 20 * S)
    assert NAME not in red(core)
