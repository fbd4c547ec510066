from __future__ import annotations

import math

import pytest

from services.marketdata.core.features import Features

TAU_MS = 10_000
T0 = 1_000_000


def test_weighted_mid_and_imbalance_of_a_hand_case() -> None:
    estimators = Features(TAU_MS)
    touch = (4_900, 30_000, 5_100, 10_000)
    estimators.on_touch(touch, 100, T0)
    seen = estimators.at(touch, 100, T0)
    # (4900 * 100 + 5100 * 300) / 400 and (300 - 100) / 400, in contracts
    assert seen.mid_e4 == 5_000
    assert seen.weighted_mid_e4 == 5_050
    assert seen.imbalance == 0.5


def test_micro_price_is_the_mid_until_there_is_evidence() -> None:
    estimators = Features(TAU_MS)
    touch = (4_900, 30_000, 5_100, 10_000)
    estimators.on_touch(touch, 100, T0)
    assert estimators.at(touch, 100, T0).micro_e4 == 5_000


def test_micro_price_learns_that_the_heavier_side_wins_and_mirrors_it() -> None:
    estimators = Features(TAU_MS)
    price, at_ms = 5_000, T0
    for _ in range(200):
        estimators.on_touch((price - 50, 30_000, price + 50, 10_000), 100, at_ms)
        price += 100
        at_ms += 10
        estimators.on_touch((price - 50, 20_000, price + 50, 20_000), 100, at_ms)
        price -= 100
        at_ms += 10
    heavy_bid = estimators.at((4_950, 30_000, 5_050, 10_000), 100, at_ms)
    heavy_ask = estimators.at((4_950, 10_000, 5_050, 30_000), 100, at_ms)
    assert 50 < heavy_bid.micro_e4 - heavy_bid.mid_e4 < 100
    assert heavy_ask.micro_e4 - heavy_ask.mid_e4 == -(heavy_bid.micro_e4 - heavy_bid.mid_e4)


def test_variance_is_unbiased_while_young() -> None:
    """Moves of one tick every 100 ms are 100 squared per 0.1 s, whatever the age of the estimate."""
    estimators = Features(TAU_MS)
    at_ms, price = T0, 5_000
    for step in range(1, 60):
        at_ms += 100
        price += 100 if step % 2 else -100
        estimators.on_touch((price - 50, 100, price + 50, 100), 100, at_ms)
    seen = estimators.at((price - 50, 100, price + 50, 100), 100, at_ms)
    assert seen.variance_e8_s == pytest.approx(100 * 100 / 0.1, rel=0.05)


def test_variance_fades_in_exchange_time_without_moves() -> None:
    estimators = Features(TAU_MS)
    estimators.on_touch((4_950, 100, 5_050, 100), 100, T0)
    estimators.on_touch((5_050, 100, 5_150, 100), 100, T0 + 100_000)
    now = estimators.at((5_050, 100, 5_150, 100), 100, T0 + 100_000).variance_e8_s
    later = estimators.at((5_050, 100, 5_150, 100), 100, T0 + 100_000 + TAU_MS).variance_e8_s
    assert later / now == pytest.approx(math.exp(-1), rel=1e-3)


def test_flow_is_signed_and_forgets() -> None:
    estimators = Features(TAU_MS)
    touch = (4_950, 100, 5_050, 100)
    estimators.on_touch(touch, 100, T0)
    estimators.on_trade(5_000, T0)
    estimators.on_trade(-2_000, T0)
    seen = estimators.at(touch, 100, T0)
    assert seen.flow_e2_s == pytest.approx(3_000 / 10)
    assert seen.trades_s == pytest.approx(2 / 10)
    assert estimators.at(touch, 100, T0 + TAU_MS).flow_e2_s == pytest.approx(300 * math.exp(-1))


def test_time_running_backwards_does_not_disturb_the_estimates() -> None:
    estimators = Features(TAU_MS)
    estimators.on_touch((4_950, 100, 5_050, 100), 100, T0)
    estimators.on_touch((5_050, 100, 5_150, 100), 100, T0 - 5_000)
    estimators.on_trade(100, T0)
    estimators.on_trade(100, T0 - 5_000)
    seen = estimators.at((5_050, 100, 5_150, 100), 100, T0)
    assert math.isfinite(seen.variance_e8_s)
    assert seen.trades_s == pytest.approx(0.2)
