"""What a word of the private feed says about requests of ours."""

from __future__ import annotations

import pytest

from libs.common.kalshi.model import VenueOrderStatus
from services.riskguard.core.conduct.messages import Heard, Messages
from tests.support.truth_builders import NOW_MS, venue_order

CANCELED = VenueOrderStatus.CANCELED
EXECUTED = VenueOrderStatus.EXECUTED


def heard(*words: dict[str, object]) -> list[Heard]:
    """Return what each of these words about one order says, a millisecond after one another."""
    messages = Messages()
    return [
        messages.on_order(venue_order(1, **{"updated_ms": NOW_MS + i, **word}))
        for i, word in enumerate(words)
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"reason": "Amend", "price_e4": 4_100}, Heard(1, 1)),
        ({"reason": "Decrease", "remaining_e2": 500}, Heard(1, 0)),
        ({"reason": "Decrease", "remaining_e2": 0, "status": CANCELED}, Heard(1, 0)),
        ({"reason": "Trade", "filled_e2": 500, "remaining_e2": 500}, Heard(0, 0)),
        ({"reason": "Trade", "filled_e2": 1_000, "remaining_e2": 0, "status": EXECUTED}, Heard(0, 0)),
        ({"reason": "ExpiryCancel", "status": CANCELED}, Heard(0, 0)),
        ({"reason": "CloseCancel", "status": CANCELED}, Heard(0, 0)),
        ({"reason": "SelfTradeCancel", "status": CANCELED}, Heard(0, 0)),
        ({"reason": "MarginCancel", "status": CANCELED}, Heard(0, 0)),
        ({"reason": "NewWord", "filled_e2": 500, "remaining_e2": 500}, Heard(0, 0)),
        ({"reason": "NewWord", "remaining_e2": 500}, Heard(1, 0)),
    ],
)
def test_a_change_counts_if_we_asked_for_it(change: dict[str, object], expected: Heard) -> None:
    assert heard({}, change) == [Heard(1, 1), expected]


@pytest.mark.parametrize(
    "first",
    [{}, {"reason": "Trade", "status": EXECUTED}, {"reason": "PostOnlyCrossCancel", "status": CANCELED}],
)
def test_the_first_word_is_the_create_whatever_became_of_it(first: dict[str, object]) -> None:
    assert heard(first) == [Heard(1, 1)]


def test_a_cancel_of_an_order_that_we_never_heard_of_places_nothing() -> None:
    assert heard({"reason": "Decrease", "status": CANCELED}) == [Heard(1, 0)]


def test_a_word_heard_again_and_an_older_one_late_count_nothing() -> None:
    amend = {"reason": "Amend", "price_e4": 4_100, "updated_ms": NOW_MS + 5}
    again = heard({}, amend, amend, {"updated_ms": NOW_MS}, {"reason": "Amend", "updated_ms": NOW_MS + 4})
    assert [one.messages for one in again] == [1, 1, 0, 0, 0]


def test_an_order_that_a_listing_showed_first_is_known() -> None:
    messages = Messages()
    messages.on_listing([venue_order(1)])
    assert messages.on_order(venue_order(1)) == Heard(0, 0)
    assert messages.on_order(venue_order(1, reason="Amend", updated_ms=NOW_MS)) == Heard(1, 1)
    assert messages.changes("o1") == 1


def test_a_fill_that_comes_before_the_first_word_is_of_the_same_execution() -> None:
    messages = Messages()
    assert messages.changes("o1") == 1
    messages.on_order(venue_order(1))
    assert messages.changes("o1") == 1


def test_only_the_newest_orders_are_remembered() -> None:
    messages = Messages()
    for number in range(50_001):
        messages.on_order(venue_order(number))
    assert len(messages._told) == 50_000
    assert messages.on_order(venue_order(1)) == Heard(0, 0)
    assert messages.on_order(venue_order(0)) == Heard(1, 1)
