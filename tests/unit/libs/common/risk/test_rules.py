"""Every registered rule keeps the contract of rules, and each refuses what it is for."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.risk.exposure import Open, losses_e6, worst_loss_e6
from libs.common.risk.limits import RiskLimits
from libs.common.risk.model import Order, Refusal, RiskView
from libs.common.risk.registry import RULES, rules_of
from libs.common.risk.review import review

GRID = grid_of_steps((0, 10_000, 100))
LIMITS = RiskLimits(
    order_qty_e2_max=1_000,
    order_notional_e6_max=8_000_000,
    market_position_e2_max=2_000,
    event_exposure_e6_max=10_000_000,
    account_exposure_e6_max=20_000_000,
    price_collar_e4_max=500,
    orders_per_s_max=10,
    orders_same_price_max=1,
)
ZERO = RiskLimits(**dict.fromkeys(RiskLimits.__struct_fields__, 0))
VIEW = RiskView(
    position_e2=0,
    bid_open_e2=0,
    ask_open_e2=0,
    loss_if_yes_e6=0,
    loss_if_no_e6=0,
    event_others_e6=0,
    account_others_e6=0,
    own_bid_max_e4=None,
    own_ask_min_e4=None,
    same_price_open=0,
    reference_e4=5_000.0,
    grid=GRID,
    orders_last_s=0,
)


def an_order(side: Side = Side.BID, price_e4: int = 5_000, qty_e2: int = 500) -> Order:
    return Order("M1", "E1", side, price_e4, qty_e2)


def refusal(order: Order, **view: object) -> str:
    answer = review(order, dataclasses.replace(VIEW, **view), rules_of(LIMITS))  # type: ignore[arg-type]
    return answer.rule if isinstance(answer, Refusal) else ""


def test_ordinary_order_passes_every_rule_by_name() -> None:
    assert review(an_order(), VIEW, rules_of(LIMITS)) == tuple(RULES)


def test_missing_view_is_refused() -> None:
    assert review(an_order(), None, rules_of(LIMITS)) == Refusal("risk_view_present", 1, 0)


def test_no_rules_refuse_everything() -> None:
    assert isinstance(review(an_order(), VIEW, ()), Refusal)


@pytest.mark.parametrize("name", [name for name in RULES if name not in {"on_grid", "self_cross"}])
def test_limit_of_zero_lets_nothing_through(name: str) -> None:
    answer = RULES[name](ZERO).check(an_order(price_e4=5_100, qty_e2=1), VIEW)
    assert answer is not None
    assert (answer.rule, answer.limit) == (name, 0)


@pytest.mark.parametrize("name", list(RULES))
def test_rule_is_registered_under_its_own_name(name: str) -> None:
    assert RULES[name](LIMITS).name == name


views = st.builds(
    RiskView,
    position_e2=st.integers(-3_000, 3_000),
    bid_open_e2=st.integers(0, 3_000),
    ask_open_e2=st.integers(0, 3_000),
    loss_if_yes_e6=st.integers(-20_000_000, 20_000_000),
    loss_if_no_e6=st.integers(-20_000_000, 20_000_000),
    event_others_e6=st.integers(0, 20_000_000),
    account_others_e6=st.integers(0, 40_000_000),
    own_bid_max_e4=st.none() | st.integers(1, 9_999),
    own_ask_min_e4=st.none() | st.integers(1, 9_999),
    same_price_open=st.integers(0, 3),
    reference_e4=st.none() | st.floats(0, 10_000) | st.just(float("nan")),
    grid=st.none() | st.just(GRID),
    orders_last_s=st.integers(0, 20),
)


@pytest.mark.parametrize("name", list(RULES))
@given(
    view=views,
    side=st.sampled_from(Side),
    price_e4=st.integers(1, 9_999),
    small=st.integers(1, 2_000),
    more=st.integers(0, 2_000),
)
def test_rule_never_passes_more_where_it_refuses_less(
    *, name: str, view: RiskView, side: Side, price_e4: int, small: int, more: int
) -> None:
    rule = RULES[name](LIMITS)
    if rule.check(Order("M1", "E1", side, price_e4, small), view) is not None:
        assert rule.check(Order("M1", "E1", side, price_e4, small + more), view) is not None


@pytest.mark.parametrize(
    ("order", "view", "rule"),
    [
        (an_order(price_e4=5_050), {}, "on_grid"),
        (an_order(), {"grid": None}, "on_grid"),
        (an_order(qty_e2=1_001), {}, "max_order_qty"),
        (an_order(qty_e2=0), {}, "max_order_qty"),
        (an_order(qty_e2=-100), {}, "max_order_qty"),
        (an_order(Side.ASK, 1_500, 1_000), {"reference_e4": 1_500.0}, "max_order_notional"),
        (an_order(price_e4=5_600), {}, "price_collar"),
        (an_order(Side.ASK, 4_400), {}, "price_collar"),
        (an_order(), {"reference_e4": None}, "price_collar"),
        (an_order(), {"reference_e4": float("nan")}, "price_collar"),
        (an_order(), {"own_ask_min_e4": 5_000}, "self_cross"),
        (an_order(Side.ASK), {"own_bid_max_e4": 5_000}, "self_cross"),
        (an_order(), {"same_price_open": 1}, "duplicate"),
        (an_order(), {"orders_last_s": 10}, "order_rate"),
        (an_order(), {"position_e2": 1_000, "bid_open_e2": 501}, "max_market_position"),
        (an_order(Side.ASK), {"position_e2": -1_000, "ask_open_e2": 501}, "max_market_position"),
        (an_order(), {"event_others_e6": 7_500_001}, "max_event_exposure"),
        (an_order(), {"account_others_e6": 17_500_001}, "max_account_exposure"),
    ],
)
def test_each_rule_refuses_what_it_is_for(order: Order, view: dict[str, object], rule: str) -> None:
    assert refusal(order, **view) == rule


def test_order_that_adds_no_risk_passes_above_a_lowered_exposure_limit() -> None:
    long = {"position_e2": 1_000, "loss_if_yes_e6": -4_000_000, "loss_if_no_e6": 6_000_000}
    assert refusal(an_order(Side.ASK), account_others_e6=30_000_000, **long) == ""
    assert refusal(an_order(Side.BID), account_others_e6=30_000_000, **long) == "max_account_exposure"


@given(
    position_e2=st.integers(-500, 500),
    opened=st.lists(
        st.builds(Open, st.sampled_from(Side), st.integers(1, 9_999), st.integers(1, 500)), max_size=5
    ),
)
def test_worst_loss_agrees_with_trying_every_subset_of_fills(position_e2: int, opened: list[Open]) -> None:
    cost_e6 = abs(position_e2) * 4_000
    worst = 0
    for mask in range(1 << len(opened)):
        for settles_e4 in (0, 10_000):
            leg_e4 = settles_e4 if position_e2 > 0 else 10_000 - settles_e4
            gain = leg_e4 * abs(position_e2) - cost_e6
            for i, one in enumerate(opened):
                if mask >> i & 1:
                    gain += one.side.sign * (settles_e4 - one.price_e4) * one.qty_e2
            worst = max(worst, -gain)
    assert worst_loss_e6(position_e2, cost_e6, opened) == worst


def test_losses_of_a_flat_market_without_orders_are_nothing() -> None:
    assert losses_e6(0, 0, ()) == (0, 0)
