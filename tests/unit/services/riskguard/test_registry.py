"""What holds for all triggers together; each one's edge is in ``triggers/``."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from services.riskguard.core.triggers.base import View, evaluate
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.support.riskguard_limits import WIDE, limits

EDGES = Path(__file__).parent / "triggers"
LIMITS = limits(
    daily_loss_e6=100,
    drawdown_e6=150,
    position_e2=1_000,
    market_exposure_e6=200,
    event_exposure_e6=300,
    account_exposure_e6=400,
    orders_per_minute=60,
)


def test_every_trigger_has_a_unit_file_of_its_own_and_every_file_a_trigger() -> None:
    files = {path.stem.removeprefix("test_") for path in EDGES.glob("test_*.py")}
    assert {trigger.name for trigger in TRIGGERS} == files


def test_names_and_texts_are_there_and_unique() -> None:
    for words in ([trigger.name for trigger in TRIGGERS], [trigger.text for trigger in TRIGGERS]):
        assert all(words)
        assert len(set(words)) == len(words)


def test_nothing_fires_for_an_account_in_which_nothing_happened() -> None:
    assert evaluate(TRIGGERS, View(), WIDE) == ()


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
