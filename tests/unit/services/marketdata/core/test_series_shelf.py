"""A series is asked about again when its word is old, the oldest first, a few at a time."""

from __future__ import annotations

from libs.common.kalshi.model import VenueSeries
from services.marketdata.core.series_shelf import AGAIN_MAX, SeriesShelf

MINUTE = 60_000_000_000


def shelf_of(*names: str) -> SeriesShelf:
    shelf = SeriesShelf(MINUTE)
    for name in names:
        shelf.asked(name, 0)
        shelf.put(word(name))
    return shelf


def word(name: str, multiplier_e4: int = 10_000) -> VenueSeries:
    return VenueSeries(name, name, "quadratic", multiplier_e4)


def test_a_word_is_old_after_its_time_and_not_before() -> None:
    shelf = shelf_of("KXGOLD")
    assert shelf.due(["KXGOLD"], MINUTE - 1) == ()
    assert shelf.due(["KXGOLD"], MINUTE) == ("KXGOLD",)


def test_an_old_word_stands_until_there_is_a_new_one() -> None:
    shelf = shelf_of("KXGOLD")
    assert shelf.due(["KXGOLD"], MINUTE) == ("KXGOLD",)
    assert shelf.get("KXGOLD") == word("KXGOLD")
    shelf.asked("KXGOLD", MINUTE)
    shelf.put(word("KXGOLD", 5_000))
    assert shelf.get("KXGOLD") == word("KXGOLD", 5_000)
    assert shelf.due(["KXGOLD"], 2 * MINUTE - 1) == ()


def test_a_question_that_failed_is_put_again_after_its_time_and_not_at_once() -> None:
    shelf = shelf_of("KXGOLD")
    shelf.asked("KXGOLD", MINUTE)
    assert shelf.due(["KXGOLD"], MINUTE + 1) == ()
    assert shelf.due(["KXGOLD"], 2 * MINUTE) == ("KXGOLD",)


def test_few_are_asked_at_once_the_longest_unasked_first_and_each_has_its_turn() -> None:
    names = [f"KX{number:02}" for number in range(2 * AGAIN_MAX + 3)]
    shelf = shelf_of(*names)
    asked: list[str] = []
    for turn in range(3):
        due = shelf.due(names, MINUTE + turn)
        assert len(due) <= AGAIN_MAX
        asked += due
        for name in due:
            shelf.asked(name, MINUTE + turn)
    assert asked == names
    assert shelf.due(names, 2 * MINUTE + 1) == tuple(names[: 2 * AGAIN_MAX][:AGAIN_MAX])


def test_what_nobody_follows_is_forgotten() -> None:
    shelf = shelf_of("KXGOLD", "KXSILVER")
    assert shelf.due(["KXGOLD"], MINUTE) == ("KXGOLD",)
    assert shelf.get("KXSILVER") is None
    assert shelf.due(["KXGOLD", "KXSILVER"], MINUTE) == ("KXGOLD",)
