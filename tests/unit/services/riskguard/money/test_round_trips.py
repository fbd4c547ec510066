"""Round trips: where they begin and end, and what each made."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueFill
from services.riskguard.core.market_book import MarketBook
from tests.support.truth_builders import MARKET, NOW_MS, settlement, venue_fill


def results(book: MarketBook) -> list[int]:
    return [trip.result_e6 for trip in book.trips.closed]


def fill(number: int, side: Side, price_e4: int, qty_e2: int = 100, fee_e6: int = 0) -> VenueFill:
    return venue_fill(
        f"t{number}", side=side, price_e4=price_e4, qty_e2=qty_e2, fee_e6=fee_e6, venue_ms=NOW_MS + number
    )


def book_of(*fills: VenueFill) -> MarketBook:
    book = MarketBook(0)
    for told in fills:
        book.add(told)
    return book


def test_from_flat_to_flat_is_one_trip_whatever_lies_between() -> None:
    book = book_of(
        fill(1, Side.BID, 4_000, fee_e6=3),
        fill(2, Side.BID, 5_000, fee_e6=3),
        fill(3, Side.ASK, 6_000, fee_e6=3),
        fill(4, Side.ASK, 4_000, fee_e6=3),
    )
    assert results(book) == [100_000 - 12]
    assert book.trips.closed[0].closed_ms == NOW_MS + 4


def test_through_zero_closes_one_and_begins_the_next_and_the_fee_is_split() -> None:
    book = book_of(fill(1, Side.BID, 4_000), fill(2, Side.ASK, 3_000, qty_e2=300, fee_e6=10))
    assert results(book) == [-100_000 - 4], "a third of the fee and the odd unit"
    book.add(fill(3, Side.BID, 2_000, qty_e2=200))
    assert results(book) == [-100_004, 200_000 - 6]


def test_a_short_trip_is_a_trip() -> None:
    assert results(book_of(fill(1, Side.ASK, 4_000), fill(2, Side.BID, 5_000))) == [-100_000]


def test_what_is_open_is_no_trip_and_a_settlement_without_a_position_closes_none() -> None:
    book = book_of(fill(1, Side.BID, 4_000), fill(2, Side.ASK, 4_000, qty_e2=50))
    assert results(book) == []
    book.add(fill(3, Side.ASK, 4_000, qty_e2=50))
    book.add(settlement(MARKET, settled_ms=NOW_MS + 4))
    assert results(book) == [0]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_arrival_changes_nothing(order: tuple[int, int, int]) -> None:
    fills = (fill(1, Side.BID, 4_000), fill(2, Side.ASK, 3_000, 200), fill(3, Side.BID, 3_500))
    assert results(book_of(*(fills[at] for at in order))) == [-100_000, -50_000]


def test_only_the_newest_are_kept() -> None:
    book = MarketBook(0)
    for number in range(0, 120, 2):
        book.add(fill(number, Side.BID, 4_000))
        book.add(fill(number + 1, Side.ASK, 4_000 + number))
    assert len(results(book)) == 50
    assert results(book)[-1] == 118 * 100
