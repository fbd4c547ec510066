"""What the riskguard's status says of the machinery."""

from __future__ import annotations

from services.riskguard.core.health.view import HealthView


def test_the_worst_of_each_is_told_with_its_sign() -> None:
    view = HealthView(
        silences_ms={"marketdata": 10, "strategy": 900},
        clock_step_ms=-7,
        clock_skews_ms={"exchange": -2_100, "executor/1": 40},
        loop_lags_ms={"a": 3, "b": 8},
        exchange_problems=("trading is paused on shard 1",),
        boots={"executor": 2, "strategy": 1},
        build_problems=("builds differ",),
    )
    assert view.gauges() == {
        "service_silence_ms": 900,
        "clock_step_ms": -7,
        "clock_skew_ms": -2_100,
        "loop_lag_ms": 8,
        "exchange_problems": 1,
        "boots_most": 2,
        "build_problems": 1,
    }


def test_nothing_known_is_zero() -> None:
    assert set(HealthView().gauges().values()) == {0}
