"""Metrics of one process, made from the table and exported by prometheus-client.

A name or label that the table does not have raises: a metric nobody declared is
a metric nobody alerts on. Counters without labels start at 0, so that an alert
can tell "never happened" from "not there".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from libs.common.observability.table import METRICS, Kind, Metric

T = TypeVar("T")

_PREFIX: Final = "dora_"
_SECONDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip


class Metrics:
    """Counts, levels and durations by the names of the table."""

    def __init__(self, table: Sequence[Metric] = METRICS) -> None:
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for row in table:
            name = _PREFIX + row.name
            if row.kind is Kind.COUNTER:
                self._counters[row.name] = Counter(name, row.help, row.labels, registry=self._registry)
            elif row.kind is Kind.GAUGE:
                self._gauges[row.name] = Gauge(name, row.help, row.labels, registry=self._registry)
            else:
                self._histograms[row.name] = Histogram(
                    name, row.help, row.labels, registry=self._registry, buckets=_SECONDS
                )

    def count(self, name: str, /, n: float = 1, **labels: str) -> None:
        """Add to a counter.

        Raises:
            ValueError: No such counter or label.
        """
        counter = self._find(self._counters, name)
        (counter.labels(**labels) if labels else counter).inc(n)

    def gauge(self, name: str, /, value: float, **labels: str) -> None:
        """Set a gauge.

        Raises:
            ValueError: No such gauge or label.
        """
        gauge = self._find(self._gauges, name)
        (gauge.labels(**labels) if labels else gauge).set(value)

    def observe(self, name: str, /, seconds: float, **labels: str) -> None:
        """Record a duration.

        Raises:
            ValueError: No such histogram or label.
        """
        histogram = self._find(self._histograms, name)
        (histogram.labels(**labels) if labels else histogram).observe(seconds)

    def value(self, name: str, /, **labels: str) -> float:
        """Return the present value of a counter or gauge, 0 if it was never touched; for tests and status."""
        kind = Kind.COUNTER if name in self._counters else Kind.GAUGE
        sample = _PREFIX + (name.removesuffix("_total") + "_total" if kind is Kind.COUNTER else name)
        return self._registry.get_sample_value(sample, labels) or 0.0

    def exposition(self) -> bytes:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self._registry)

    @staticmethod
    def _find(kind: Mapping[str, T], name: str) -> T:
        try:
            return kind[name]
        except KeyError:
            raise ValueError(f"a metric of libs/common/observability/table.py, was {name!r}") from None
