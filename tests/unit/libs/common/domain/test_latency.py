"""Quantiles are of the newest values, by nearest rank."""

from __future__ import annotations

from libs.common.domain.latency import Latencies


def test_without_values_nothing_is_told() -> None:
    assert Latencies().quantile(0.5) is None
    assert Latencies().gauges("tick") == {}


def test_quantiles_are_told_by_name() -> None:
    latencies = Latencies()
    for us in range(100):
        latencies.add(us)

    assert latencies.gauges("tick") == {"tick_us_p50": 50.0, "tick_us_p90": 90.0, "tick_us_p99": 99.0}


def test_old_values_make_room() -> None:
    latencies = Latencies()
    for us in (1, *[2] * 4_096):
        latencies.add(us)

    assert latencies.quantile(0.0) == 2
