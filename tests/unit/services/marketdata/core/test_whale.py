from __future__ import annotations

from libs.common.domain.side import Side
from services.marketdata.core.whale import WhaleRules, Whales
from tests.support.market_builders import MARKET, NOW_MS, delta

RULES = WhaleRules(size_e2_min=10_000, depth_pct_min=25.0, imbalance_depth_e2_min=50_000)


def _large(whales: Whales, side: Side = Side.BID) -> None:
    found = whales.on_level(delta(side, 4_900, 20_000), 20_000, (40_000, 40_000))
    assert [whale.event_type for whale in found] == ["large_bid" if side is Side.BID else "large_ask"]


def test_a_large_bid_is_told_once_with_its_share_and_bias() -> None:
    whales = Whales(MARKET, RULES)
    found = whales.on_level(delta(Side.BID, 4_900, 20_000), 20_000, (40_000, 40_000))
    assert len(found) == 1
    whale = found[0]
    assert (whale.event_type, whale.side_bias) == ("large_bid", "BUY_BIAS")
    assert (whale.size_e2, whale.price_e4, whale.depth_pct, whale.imbalance) == (20_000, 4_900, 50.0, 0.0)
    assert whales.on_level(delta(Side.BID, 4_900, 5_000), 25_000, (45_000, 40_000)) == []


def test_a_large_ask_biases_to_selling() -> None:
    found = Whales(MARKET, RULES).on_level(delta(Side.ASK, 5_100, 20_000), 20_000, (40_000, 40_000))
    assert [(whale.event_type, whale.side_bias) for whale in found] == [("large_ask", "SELL_BIAS")]


def test_a_level_that_is_large_but_a_small_part_of_its_side_is_nothing() -> None:
    assert Whales(MARKET, RULES).on_level(delta(Side.BID, 4_900, 1), 20_000, (100_000, 1)) == []


def test_a_large_level_that_vanishes_without_trades_is_suspected() -> None:
    whales = Whales(MARKET, RULES)
    _large(whales)
    whales.on_level(delta(Side.BID, 4_900, -20_000, venue_ms=NOW_MS + 1_000), 0, (20_000, 40_000))
    assert whales.check(20_000, 20_000, NOW_MS + 1_400) == []  # the trades may still be on their way
    found = whales.check(20_000, 20_000, NOW_MS + 1_500)
    assert [(whale.event_type, whale.side_bias) for whale in found] == [("spoof_suspected", "SELL_BIAS")]


def test_a_large_level_that_was_traded_away_is_not_suspected() -> None:
    whales = Whales(MARKET, RULES)
    _large(whales)
    whales.on_level(delta(Side.BID, 4_900, -20_000, venue_ms=NOW_MS + 1_000), 0, (20_000, 40_000))
    whales.on_trade(Side.ASK, 4_900, 15_000)
    assert whales.check(20_000, 20_000, NOW_MS + 2_000) == []
    assert not whales.is_watching


def test_a_large_level_that_leaves_after_a_while_is_not_suspected() -> None:
    whales = Whales(MARKET, RULES)
    _large(whales)
    whales.on_level(delta(Side.BID, 4_900, -20_000, venue_ms=NOW_MS + 6_000), 0, (20_000, 40_000))
    assert whales.check(20_000, 20_000, NOW_MS + 7_000) == []


def test_a_one_sided_book_is_told_at_most_once_a_cooldown() -> None:
    whales = Whales(MARKET, RULES)
    first = whales.check(95_000, 5_000, NOW_MS)
    assert [(whale.event_type, whale.side_bias, whale.imbalance) for whale in first] == [
        ("high_imbalance", "BUY_BIAS", 0.9)
    ]
    assert whales.check(95_000, 5_000, NOW_MS + 4_999) == []
    assert len(whales.check(5_000, 95_000, NOW_MS + 5_000)) == 1
