"""How long each stage takes on the way from a book change to an order's bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.domain.latency import Latencies


@dataclass(slots=True)
class OrderPath:
    """The stages in the executor, and all of them together; microseconds.

    Attributes:
        tick_to_target: From the frame's arrival in marketdata to the target's arrival here.
        target_to_intent: Until the planned batch is handed to the journal.
        intent_to_stored: Until the journal has acknowledged it.
        stored_to_wire: Until the request's bytes leave.
        target_to_order: The last three.
        tick_to_order: All.
    """

    tick_to_target: Latencies = field(default_factory=Latencies)
    target_to_intent: Latencies = field(default_factory=Latencies)
    intent_to_stored: Latencies = field(default_factory=Latencies)
    stored_to_wire: Latencies = field(default_factory=Latencies)
    target_to_order: Latencies = field(default_factory=Latencies)
    tick_to_order: Latencies = field(default_factory=Latencies)

    def add(self, tick_ns: int, target_ns: int, intent_ns: int, stored_ns: int, wire_ns: int) -> None:
        """Take one order; times of the monotonic clock that all processes of a machine share."""
        self.tick_to_target.add((target_ns - tick_ns) // 1_000)
        self.target_to_intent.add((intent_ns - target_ns) // 1_000)
        self.intent_to_stored.add((stored_ns - intent_ns) // 1_000)
        self.stored_to_wire.add((wire_ns - stored_ns) // 1_000)
        self.target_to_order.add((wire_ns - target_ns) // 1_000)
        self.tick_to_order.add((wire_ns - tick_ns) // 1_000)

    def gauges(self) -> dict[str, float]:
        """Return the quantiles of every stage that has values."""
        return {
            **self.tick_to_target.gauges("tick_to_target"),
            **self.target_to_intent.gauges("target_to_intent"),
            **self.intent_to_stored.gauges("intent_to_stored"),
            **self.stored_to_wire.gauges("stored_to_wire"),
            **self.target_to_order.gauges("target_to_order"),
            **self.tick_to_order.gauges("tick_to_order"),
        }
