"""Each stage is measured by itself and all of them together."""

from __future__ import annotations

from services.executor.core.order_path import OrderPath


def test_stages_add_up() -> None:
    path = OrderPath()
    path.add(1_000_000, 3_000_000, 3_500_000, 4_500_000, 4_700_000)

    p50 = {name.removesuffix("_us_p50"): us for name, us in path.gauges().items() if name.endswith("p50")}
    assert p50 == {
        "tick_to_target": 2_000,
        "target_to_intent": 500,
        "intent_to_stored": 1_000,
        "stored_to_wire": 200,
        "target_to_order": 1_700,
        "tick_to_order": 3_700,
    }


def test_without_orders_nothing_is_told() -> None:
    assert OrderPath().gauges() == {}
