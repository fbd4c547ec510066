"""Risk is opened only while somebody tells what happens to our orders: the feed, or reads in its place."""

from __future__ import annotations

from services.executor.core.hearing import Hearing

S = 1_000_000_000


def whole() -> Hearing:
    hearing = Hearing()
    hearing.subscribed(10 * S)
    hearing.compared(11 * S)
    hearing.heard(12 * S)
    return hearing


def test_nothing_was_heard_before_anything_was() -> None:
    assert Hearing().reasons(10 * S) == ["venue_unheard"]


def test_subscription_alone_proves_nothing_of_what_was_before_it() -> None:
    hearing = Hearing()
    hearing.subscribed(10 * S)
    assert hearing.reasons(10 * S) == ["venue_unheard"]
    hearing.compared(9 * S)
    assert not hearing.is_whole(10 * S), "that comparison began before the subscription"
    hearing.compared(11 * S)
    assert hearing.is_whole(11 * S)


def test_whole_feed_is_enough_however_old_the_comparison() -> None:
    hearing = whole()
    for second in range(12, 100):
        hearing.heard(second * S)
        assert hearing.reasons(second * S) == []


def test_mute_feed_is_not_whole_and_closes_the_gate_unless_reads_take_its_place() -> None:
    hearing = whole()
    assert hearing.is_whole(15 * S)
    assert hearing.reasons(16 * S) == ["venue_unheard"]
    hearing.compared(16 * S)
    assert hearing.reasons(17 * S) == []
    assert not hearing.is_whole(17 * S)


def test_lost_feed_counts_as_known_up_to_its_last_word_and_reads_carry_on_from_there() -> None:
    hearing = whole()
    hearing.heard(50 * S)
    hearing.closed(51 * S)
    assert hearing.reasons(53 * S) == []
    assert hearing.reasons(54 * S) == ["venue_unheard"]
    hearing.compared(54 * S)
    assert hearing.reasons(56 * S) == []
    hearing.subscribed(57 * S)
    assert not hearing.is_whole(57 * S), "what was missed in between is not read yet"
