from __future__ import annotations

import pytest

from libs.common.messages.market import SignalV1
from services.strategy.core import fair
from services.strategy.core.maker_settings import SignalSource
from services.strategy.core.work import expit, logit
from tests.support.market_builders import MARKET, NOW_MS, book, features
from tests.support.strategy_builders import sheet


def _signal(probability: float, *, age_ms: int = 0, confidence: float = 1.0) -> SignalV1:
    return SignalV1(
        source="anchor",
        market=MARKET,
        probability=probability,
        confidence=confidence,
        as_of_ms=NOW_MS - age_ms,
    )


def test_weighted_mid_leans_against_the_thin_side() -> None:
    # w = (b Qa + a Qb) / (Qa + Qb) = (4900 * 100 + 5100 * 300) / 400 = 5050
    work = sheet(book(((4_900, 30_000),), ((5_100, 10_000),)), weighted_mid_weight=1.0)
    fair.weighted_mid(work)
    assert work.bid_e4 == work.ask_e4 == 5_050
    half = sheet(book(((4_900, 30_000),), ((5_100, 10_000),)), weighted_mid_weight=0.5)
    fair.weighted_mid(half)
    assert half.bid_e4 == 5_025


def test_micro_price_adds_its_drift_and_nothing_without_features() -> None:
    work = sheet(book(features=features(5_000, micro_e4=5_012.0)))
    fair.micro_price(work)
    assert work.bid_e4 == 5_012
    blind = sheet(book(features=None))
    fair.micro_price(blind)
    assert blind.bid_e4 == 5_000


def test_a_signal_of_equal_weight_meets_the_book_halfway_in_log_odds() -> None:
    work = sheet(signals={"anchor": SignalSource(weight=1.0)})
    work.signals = {"anchor": _signal(0.8)}
    fair.signals(work)
    assert work.x == pytest.approx((logit(0.5) + logit(0.8)) / 2)
    assert work.bid_e4 == pytest.approx(10_000 * expit(logit(0.8) / 2))


def test_a_signals_weight_halves_with_its_half_life() -> None:
    work = sheet(signals={"anchor": SignalSource(weight=2.0, half_life_ms=1_000)})
    work.signals = {"anchor": _signal(0.8, age_ms=1_000)}
    fair.signals(work)
    assert work.x == pytest.approx(logit(0.8) / 2)


@pytest.mark.parametrize(
    "signal", [_signal(0.8, age_ms=60_001), _signal(1.0), _signal(0.0), _signal(0.8, confidence=0.0)]
)
def test_an_old_certain_or_unsure_signal_counts_nothing(signal: SignalV1) -> None:
    work = sheet(signals={"anchor": SignalSource(weight=1.0)})
    work.signals = {"anchor": signal}
    fair.signals(work)
    assert work.x == pytest.approx(0.0)


def test_a_source_that_the_configuration_does_not_name_counts_nothing() -> None:
    work = sheet()
    work.signals = {"anchor": _signal(0.8)}
    fair.signals(work)
    assert work.bid_e4 == 5_000


def test_the_longshot_map_is_the_identity_until_fitted() -> None:
    work = sheet(fair_e4=1_000.0)
    fair.longshot(work)
    assert work.bid_e4 == pytest.approx(1_000)
    steep = sheet(fair_e4=1_000.0, longshot_beta=1.1)
    fair.longshot(steep)
    # beta above 1 lowers cheap contracts: S(1.1 logit 0.1) = 0.08189
    assert steep.bid_e4 == pytest.approx(10_000 * expit(1.1 * logit(0.1)))
    assert steep.bid_e4 == pytest.approx(818.9, abs=0.1)
