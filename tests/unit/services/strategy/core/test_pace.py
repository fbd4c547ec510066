from __future__ import annotations

from services.strategy.core.pace import Pace
from services.strategy.core.pipeline import decide
from tests.support.market_builders import MARKET, NOW_MS, book, position
from tests.support.strategy_builders import plan

PLAN = plan(life_ms=3_000)


def test_the_first_target_and_every_change_is_published() -> None:
    pace = Pace(is_alone=True)
    assert pace.judge(decide(book(), position(), PLAN)) == (True, True)
    assert pace.judge(decide(book(), position(), PLAN)) == (False, False)
    moved = decide(book(((4_500, 10),), ((4_700, 10),)), position(), PLAN)
    assert pace.judge(moved) == (True, True)


def test_an_unchanged_target_is_renewed_at_half_its_life() -> None:
    pace = Pace(is_alone=True)
    pace.judge(decide(book(), position(), PLAN))
    early = decide(book(as_of_ms=NOW_MS + 1_400), position(), PLAN)
    later = decide(book(as_of_ms=NOW_MS + 1_500), position(), PLAN)
    assert pace.judge(early) == (False, False)
    assert pace.judge(later) == (True, False)
    assert pace.judge(later) == (False, False)


def test_a_detail_that_moves_with_time_is_no_change() -> None:
    pace = Pace(is_alone=True)
    assert pace.judge(decide(book(close_ms=NOW_MS + 4_000), position(), PLAN))[0]
    later = decide(book(close_ms=NOW_MS + 4_000, as_of_ms=NOW_MS + 10), position(), PLAN)
    assert pace.judge(later) == (False, False)


def test_a_new_executor_hears_the_target_at_once() -> None:
    pace = Pace(is_alone=True)
    pace.judge(decide(book(), position(epoch=1), PLAN))
    assert pace.judge(decide(book(), position(epoch=2), PLAN)) == (True, False)


def test_one_of_several_replicas_publishes_everything() -> None:
    pace = Pace(is_alone=False)
    pace.judge(decide(book(), position(), PLAN))
    assert pace.judge(decide(book(), position(), PLAN)) == (True, False)


def test_what_was_not_sent_is_sent_next_time() -> None:
    pace = Pace(is_alone=True)
    pace.judge(decide(book(), position(), PLAN))
    pace.forget(MARKET)
    assert pace.judge(decide(book(), position(), PLAN)) == (True, True)
