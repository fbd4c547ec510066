"""Each trigger at its edge."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from services.riskguard.core.triggers.base import View, evaluate
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.support.riskguard_limits import limits

LIMITS = limits(
    daily_loss_e6=100,
    drawdown_e6=150,
    position_e2=1_000,
    market_exposure_e6=200,
    event_exposure_e6=300,
    account_exposure_e6=400,
    orders_per_minute=60,
)
CASES = {
    "daily_loss_limit": (View(day_e6=-99), View(day_e6=-100)),
    "max_drawdown": (View(day_e6=51, high_water_e6=200), View(day_e6=50, high_water_e6=200)),
    "position_limit": (View(positions={"A": -1_000}), View(positions={"A": -1_001, "B": 5})),
    "market_exposure": (View(market_exposure_e6={"A": 200}), View(market_exposure_e6={"A": 201})),
    "event_exposure": (View(event_exposure_e6={"E": 300}), View(event_exposure_e6={"E": 301})),
    "account_exposure": (View(account_exposure_e6=400), View(account_exposure_e6=401)),
    "order_rate": (View(orders_last_minute=60), View(orders_last_minute=61)),
    "stale_books": (View(), View(stale_books=("A: book is stale",))),
    "executor_silence": (View(executor_silence_ms=3_000), View(executor_silence_ms=3_001)),
    "recon_permit": (View(), View(recon_problem="never heard")),
}
PAUSES = {"stale_books", "executor_silence", "recon_permit"}


def test_every_trigger_has_an_edge_here() -> None:
    assert {trigger.name for trigger in TRIGGERS} >= set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_trigger_fires_at_its_edge_and_not_before(name: str) -> None:
    before, at = CASES[name]
    assert [fired.trigger for fired in evaluate(TRIGGERS, before, LIMITS)] == []
    (fired,) = evaluate(TRIGGERS, at, LIMITS)
    assert fired.trigger == name
    assert fired.text
    assert fired.is_latching == (name not in PAUSES)


def test_all_that_fire_are_told() -> None:
    view = View(day_e6=-100, high_water_e6=50, orders_last_minute=61, recon_problem="closed")
    fired = {f.trigger for f in evaluate(TRIGGERS, view, LIMITS)}
    assert fired == {"daily_loss_limit", "max_drawdown", "order_rate", "recon_permit"}


def test_zero_means_zero() -> None:
    """A loss limit of zero is reached by a day without a result; every other zero by the first unit."""
    zero = replace(
        LIMITS,
        daily_loss_e6=0,
        drawdown_e6=0,
        position_e2=0,
        market_exposure_e6=0,
        event_exposure_e6=0,
        account_exposure_e6=0,
        orders_per_minute=0,
    )
    assert [f.trigger for f in evaluate(TRIGGERS, View(), zero)] == ["daily_loss_limit"]
    one = View(
        day_e6=1,
        high_water_e6=2,
        positions={"A": 1},
        market_exposure_e6={"A": 1},
        event_exposure_e6={"E": 1},
        account_exposure_e6=1,
        orders_last_minute=1,
    )
    assert len(evaluate(TRIGGERS, one, zero)) == 6
