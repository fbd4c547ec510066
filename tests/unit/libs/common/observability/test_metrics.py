"""Metrics come from the table, and the table keeps its rules."""

from __future__ import annotations

import pytest

from libs.common.observability.metrics import Metrics
from libs.common.observability.table import METRICS, Kind


def test_a_counter_a_gauge_and_a_histogram_are_exported_under_their_names() -> None:
    metrics = Metrics()
    metrics.count("bus_lost_total", 3)
    metrics.gauge("ready", 1)
    metrics.observe("bus_append_seconds", 0.0004)
    metrics.count("bus_errors_total", kind="Slow")
    text = metrics.exposition().decode()
    assert "dora_bus_lost_total 3.0" in text
    assert "dora_ready 1.0" in text
    assert 'dora_bus_append_seconds_bucket{le="0.0005"} 1.0' in text
    assert 'dora_bus_errors_total{kind="Slow"} 1.0' in text
    assert metrics.value("bus_lost_total") == 3
    assert metrics.value("bus_errors_total", kind="Slow") == 1
    assert metrics.value("bus_errors_total", kind="Never") == 0


def test_counters_that_never_counted_are_there_as_zero() -> None:
    assert "dora_bus_lost_total 0.0" in Metrics().exposition().decode()


def test_a_name_or_label_outside_the_table_is_refused() -> None:
    metrics = Metrics()
    for call in (metrics.count, metrics.gauge, metrics.observe):
        with pytest.raises(ValueError, match="was 'no_such'"):
            call("no_such", 1)
    with pytest.raises(ValueError, match=r"table\.py"):
        metrics.count("ready")
    with pytest.raises(ValueError, match="label"):
        metrics.count("bus_errors_total", colour="red")


def test_a_label_may_be_called_name() -> None:
    metrics = Metrics()
    metrics.gauge("status_gauge", 2.5, name="fees_e6")
    assert metrics.value("status_gauge", name="fees_e6") == 2.5


def test_two_processes_worth_of_metrics_do_not_share() -> None:
    one, two = Metrics(), Metrics()
    one.count("bus_lost_total")
    assert two.value("bus_lost_total") == 0


def test_the_table_keeps_its_rules() -> None:
    names = [row.name for row in METRICS]
    assert len(set(names)) == len(names)
    for row in METRICS:
        assert (row.kind is Kind.COUNTER) == row.name.endswith("_total"), row.name
        assert not row.unit or row.name.endswith(f"_{row.unit}"), row.name
        assert row.help, row.name
        if row.kind is Kind.HISTOGRAM:
            assert row.name.endswith("_seconds"), row.name
            assert "market" not in row.labels, row.name
