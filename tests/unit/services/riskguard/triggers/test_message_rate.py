"""`message_rate`: too many creates, amends, decreases and cancels of ours within a minute."""

from __future__ import annotations

from libs.common.kalshi.model import VenueOrderStatus
from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired


def test_it_fires_above_its_limit_and_latches() -> None:
    assert fired("message_rate", ConductView(messages_last_minute=60), messages_per_minute=60) is None
    over = fired("message_rate", ConductView(messages_last_minute=61), messages_per_minute=60)
    assert over is not None
    assert (over.limit, over.was, over.is_latching) == (60, 61, True)


def test_the_feeds_words_about_our_requests_count_for_a_minute() -> None:
    seen = Seen()
    seen.order(1)
    seen.wait(1)
    seen.order(1, reason="Amend", price_e4=4_100)
    seen.wait(1)
    seen.order(1, reason="Decrease", price_e4=4_100, remaining_e2=500)
    seen.wait(1)
    seen.order(1, reason="Decrease", remaining_e2=0, status=VenueOrderStatus.CANCELED)
    assert fired("message_rate", seen.view(), messages_per_minute=4) is None
    assert fired("message_rate", seen.view(), messages_per_minute=3) is not None
    seen.wait(57.5)
    assert seen.view().messages_last_minute == 3


def test_an_order_of_somebody_else_is_no_message_of_ours() -> None:
    seen = Seen()
    seen.order(1, client_order_id="by-hand")
    seen.order(2, client_order_id="dora-live-1-1-0-00000000")
    assert seen.view().messages_last_minute == 0


def test_words_from_before_the_first_reading_are_history() -> None:
    seen = Seen(is_read=False)
    for number in range(10):
        seen.order(number)
    seen.reading()
    assert seen.view().messages_last_minute == 0
