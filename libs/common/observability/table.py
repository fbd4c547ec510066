"""Every metric that a process may export: one row each, append-only, names end in their unit.

`Metrics` refuses a name that is not here. Rules (checked by a test): counters
end in ``_total``, histograms count seconds and carry no market label, labels
have few values. The exported name gets the prefix ``dora_``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Kind(enum.StrEnum):
    """What a metric does."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

# fmt: off
METRICS: Final[tuple[Metric, ...]] = (
    # Every process
    Metric("build_info", _G, "1, with what runs as labels", ("version", "run", "config_hash")),
    Metric("ready", _G, "1 while the service is ready"),
    Metric("event_loop_lag_seconds", _G, "how late the event loop woke up last time", unit="seconds"),
    Metric("event_loop_lag_max_seconds", _G, "latest wake-up of the last ten seconds", unit="seconds"),
    Metric("resident_memory_megabytes", _G, "resident memory", unit="megabytes"),
    Metric("malformed_total", _C, "messages that were not what their subject promises", ("source", "kind")),
    Metric("status_count", _G, "a counter of the core's own status, by its name", ("name",)),
    Metric("status_gauge", _G, "a gauge of the core's own status, by its name", ("name",)),
    # Bus
    Metric("bus_connected", _G, "1 while the client believes it is connected"),
    Metric("bus_echo_age_seconds", _G, "age of the newest own heartbeat heard", unit="seconds"),
    Metric("bus_reconnects_total", _C, "reconnections"),
    Metric("bus_errors_total", _C, "errors reported by the client", ("kind",)),
    Metric("bus_published_total", _C, "messages sent"),
    Metric("bus_received_total", _C, "messages received"),
    Metric("bus_conflated_total", _C, "messages replaced in their slot before they were handled"),
    Metric("bus_lost_total", _C, "messages dropped by a limit"),
    Metric("bus_append_seconds", _H, "time to a stream's acknowledgement", unit="seconds"),
    Metric("bus_append_failed_total", _C, "appends without acknowledgement, by reason", ("reason",)),
    Metric("endpoint_requests_total", _C, "requests to micro endpoints", ("endpoint", "outcome")),
    Metric("projection_errors_total", _C, "failed writes to the rebuildable projection"),
    # Services: append below, one row a line
)
# fmt: on
