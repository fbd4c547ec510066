"""Every registered rule keeps the contract of rules, and each refuses what it is for, in its words."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.risk.exposure import EventLoss
from libs.common.risk.limits import RiskLimits
from libs.common.risk.model import Order, Refusal, RiskView
from libs.common.risk.registry import RULES, rules_of
from libs.common.risk.review import review

GRID = grid_of_steps((0, 10_000, 100))
LIMITS = RiskLimits(
    order_qty_e2_max=1_000,
    order_notional_e6_max=8_000_000,
    market_position_e2_max=2_000,
    market_exposure_e6_max=9_000_000,
    market_orders_max=3,
    market_balance_share_e4_max=500,
    event_contracts_e2_max=5_000,
    event_exposure_e6_max=10_000_000,
    account_contracts_e2_max=9_000,
    account_exposure_e6_max=20_000_000,
    account_orders_max=30,
    price_collar_e4_max=500,
    reference_age_ms_max=2_000,
    balance_age_ms_max=15_000,
    orders_per_s_max=10,
    notional_per_minute_e6_max=50_000_000,
    orders_repeated_per_s_max=2,
    orders_same_price_max=1,
)
ZERO = RiskLimits(**dict.fromkeys(RiskLimits.__struct_fields__, 0))
VIEW = RiskView(
    position_e2=0,
    bid_open_e2=0,
    ask_open_e2=0,
    loss_if_yes_e6=0,
    loss_if_no_e6=0,
    event=EventLoss(),
    account_others_e6=0,
    event_contracts_others_e2=0,
    account_contracts_others_e2=0,
    market_orders=0,
    account_orders=0,
    own_bid_max_e4=None,
    own_ask_min_e4=None,
    same_price_open=0,
    reference_e4=5_000.0,
    reference_age_ms=0,
    grid=GRID,
    free_e6=1_000_000_000,
    cash_e6=1_000_000_000,
    balance_age_ms=0,
    orders_last_s=0,
    notional_last_minute_e6=0,
    repeated_last_s=0,
)
LONG: dict[str, object] = {"position_e2": 1_000, "loss_if_yes_e6": -4_000_000, "loss_if_no_e6": 6_000_000}
BROKE: dict[str, object] = {"free_e6": 0, "balance_age_ms": 15_001}


def an_order(side: Side = Side.BID, price_e4: int = 5_000, qty_e2: int = 500, **changes: bool) -> Order:
    return Order("M1", "E1", side, price_e4, qty_e2, **changes)


def a_view(**changes: object) -> RiskView:
    return msgspec.structs.replace(VIEW, **changes)


def refusal(order: Order, **view: object) -> Refusal | None:
    return review(order, a_view(**view), rules_of(LIMITS))


# What each rule is for: order, view, and the refusal in full; at least one line for every rule.
CASES: list[tuple[Order, dict[str, object], Refusal]] = [
    (an_order(price_e4=5_050), {}, Refusal("on_grid", 100, 5_050, "price_e4")),
    (an_order(), {"grid": None}, Refusal("on_grid", 0, 5_000, "price_e4")),
    (an_order(price_e4=-100), {}, Refusal("on_grid", 100, -100, "price_e4")),
    (an_order(qty_e2=1_001), {}, Refusal("max_order_qty", 1_000, 1_001, "contracts_e2")),
    (an_order(qty_e2=0), {}, Refusal("max_order_qty", 1_000, 0, "contracts_e2")),
    (an_order(qty_e2=-100), {}, Refusal("max_order_qty", 1_000, -100, "contracts_e2")),
    (
        an_order(Side.ASK, 1_500, 1_000),
        {"reference_e4": 1_500.0},
        Refusal("max_order_notional", 8_000_000, 8_500_000, "dollars_e6"),
    ),
    (
        an_order(Side.ASK, is_exit=True),
        {**LONG, "position_e2": 499},
        Refusal("exit_reduces", 499, 500, "contracts_e2"),
    ),
    (an_order(is_exit=True), LONG, Refusal("exit_reduces", 0, 500, "contracts_e2")),
    (an_order(), {"reference_age_ms": 2_001}, Refusal("fresh_reference", 2_000, 2_001, "ms")),
    (an_order(), {"reference_age_ms": None}, Refusal("fresh_reference", 2_000, -1, "ms")),
    (an_order(price_e4=5_600), {}, Refusal("price_collar", 500, 600, "price_e4")),
    (an_order(Side.ASK, 4_400), {}, Refusal("price_collar", 500, 600, "price_e4")),
    (an_order(), {"reference_e4": None}, Refusal("price_collar", 500, -1, "price_e4")),
    (an_order(), {"reference_e4": float("nan")}, Refusal("price_collar", 500, -1, "price_e4")),
    (an_order(), {"reference_e4": float("inf")}, Refusal("price_collar", 500, -1, "price_e4")),
    (an_order(), {"own_ask_min_e4": 5_000}, Refusal("self_cross", 5_000, 5_000, "price_e4")),
    (an_order(Side.ASK), {"own_bid_max_e4": 5_000}, Refusal("self_cross", 5_000, 5_000, "price_e4")),
    (an_order(), {"same_price_open": 1}, Refusal("duplicate", 1, 2, "orders")),
    (an_order(), {"repeated_last_s": 2}, Refusal("repeated_order", 2, 3, "orders_per_s")),
    (an_order(), {"orders_last_s": 10}, Refusal("order_rate", 10, 11, "orders_per_s")),
    (
        an_order(),
        {"notional_last_minute_e6": 47_500_001},
        Refusal("notional_rate", 50_000_000, 50_000_001, "dollars_e6_per_minute"),
    ),
    (an_order(), {"market_orders": 3}, Refusal("max_market_orders", 3, 4, "orders")),
    (an_order(), {"account_orders": 30}, Refusal("max_account_orders", 30, 31, "orders")),
    (
        an_order(),
        {"position_e2": 1_000, "bid_open_e2": 501},
        Refusal("max_market_position", 2_000, 2_001, "contracts_e2"),
    ),
    (
        an_order(Side.ASK),
        {"position_e2": -1_000, "ask_open_e2": 501},
        Refusal("max_market_position", 2_000, 2_001, "contracts_e2"),
    ),
    (
        an_order(),
        {"event_contracts_others_e2": 4_501},
        Refusal("max_event_contracts", 5_000, 5_001, "contracts_e2"),
    ),
    (
        an_order(),
        {"account_contracts_others_e2": 8_501},
        Refusal("max_account_contracts", 9_000, 9_001, "contracts_e2"),
    ),
    (
        an_order(),
        {"loss_if_no_e6": 6_500_001},
        Refusal("max_market_exposure", 9_000_000, 9_000_001, "dollars_e6"),
    ),
    (
        an_order(),
        {"event": EventLoss(worst_e6=7_500_001)},
        Refusal("max_event_exposure", 10_000_000, 10_000_001, "dollars_e6"),
    ),
    (
        an_order(),
        {"event": EventLoss(is_exclusive=True, no_e6=7_500_001)},
        Refusal("max_event_exposure", 10_000_000, 10_000_001, "dollars_e6"),
    ),
    (
        an_order(),
        {"account_others_e6": 17_500_001},
        Refusal("max_account_exposure", 20_000_000, 20_000_001, "dollars_e6"),
    ),
    (
        an_order(),
        {"cash_e6": 49_999_980},
        Refusal("max_balance_share", 2_499_999, 2_500_000, "dollars_e6"),
    ),
    (an_order(), {"cash_e6": None}, Refusal("max_balance_share", -1, 2_500_000, "dollars_e6")),
    (an_order(), {"free_e6": 2_499_999}, Refusal("shard_balance", 2_499_999, 2_500_000, "dollars_e6")),
    (an_order(), {"free_e6": None}, Refusal("shard_balance", 15_000, -1, "ms")),
    (an_order(), {"balance_age_ms": None}, Refusal("shard_balance", 15_000, -1, "ms")),
    (an_order(), {"balance_age_ms": 15_001}, Refusal("shard_balance", 15_000, 15_001, "ms")),
]


def _id(case: tuple[Order, dict[str, object], Refusal]) -> str:
    return case[2].rule


def test_ordinary_order_passes_every_rule() -> None:
    assert review(an_order(), VIEW, rules_of(LIMITS)) is None
    assert tuple(rule.name for rule in rules_of(LIMITS)) == tuple(RULES)


def test_missing_view_is_refused() -> None:
    assert review(an_order(), None, rules_of(LIMITS)) == Refusal("risk_view_present", 1, 0, "views")


def test_no_rules_refuse_everything() -> None:
    assert isinstance(review(an_order(), VIEW, ()), Refusal)


@pytest.mark.parametrize("name", [name for name, entry in RULES.items() if entry.limit])
def test_limit_of_zero_lets_nothing_through(name: str) -> None:
    answer = RULES[name].make(ZERO).check(an_order(price_e4=5_100, qty_e2=1), VIEW)
    assert answer is not None
    assert (answer.rule, answer.limit) == (name, 0)


def test_every_limit_is_read_by_a_rule() -> None:
    assert {entry.limit for entry in RULES.values()} - {""} == set(RiskLimits.__struct_fields__)


@pytest.mark.parametrize("name", list(RULES))
def test_rule_is_registered_under_its_own_name(name: str) -> None:
    assert RULES[name].make(LIMITS).name == name


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_each_rule_refuses_what_it_is_for(case: tuple[Order, dict[str, object], Refusal]) -> None:
    order, view, expected = case
    assert refusal(order, **view) == expected


@pytest.mark.parametrize("name", list(RULES))
def test_unplugged_rule_lets_through_what_only_it_refuses(name: str) -> None:
    others = [entry.make(LIMITS) for other, entry in RULES.items() if other != name]
    let_through = [
        case for case in CASES if case[2].rule == name and review(case[0], a_view(**case[1]), others) is None
    ]
    assert let_through, f"no case that {name} alone refuses"


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_refusal_counts_in_the_unit_that_the_registry_says(
    case: tuple[Order, dict[str, object], Refusal],
) -> None:
    entry = RULES[case[2].rule]
    # A balance that is missing or old is told in the unit of its age.
    assert case[2].unit == entry.unit or (case[2].rule, case[2].unit) == ("shard_balance", "ms")


@pytest.mark.parametrize(
    ("order", "view"),
    [
        (an_order(Side.ASK), {**LONG, "account_others_e6": 30_000_000}),
        (an_order(Side.ASK), {**LONG, "event": EventLoss(worst_e6=30_000_000)}),
        (an_order(Side.ASK), {**LONG, "event": EventLoss(is_exclusive=True, no_e6=30_000_000)}),
        (an_order(Side.ASK), {**LONG, "loss_if_no_e6": 30_000_000}),
        (an_order(Side.ASK), {**LONG, "event_contracts_others_e2": 30_000}),
        (an_order(Side.ASK), {**LONG, "account_contracts_others_e2": 30_000}),
        (an_order(Side.ASK), {**LONG, **BROKE, "cash_e6": None}),
        (an_order(Side.ASK, is_exit=True), {**LONG, **BROKE, "cash_e6": 0, "ask_open_e2": 600}),
        (an_order(Side.BID), {"position_e2": -500, "loss_if_yes_e6": 2_500_000, **BROKE, "free_e6": None}),
        (an_order(is_change=True), {"market_orders": 40, "account_orders": 40}),
    ],
)
def test_order_that_adds_no_risk_passes_above_a_lowered_limit(order: Order, view: dict[str, object]) -> None:
    assert refusal(order, **view) is None


@pytest.mark.parametrize(
    "view",
    [
        {"account_others_e6": 30_000_000},
        {"event": EventLoss(worst_e6=30_000_000)},
        {"event_contracts_others_e2": 30_000},
        {"account_contracts_others_e2": 30_000},
        BROKE,
    ],
)
def test_order_that_adds_risk_does_not(view: dict[str, object]) -> None:
    assert refusal(an_order(Side.BID), **LONG, **view) is not None


def test_only_the_part_that_opens_needs_cash() -> None:
    view = {**LONG, "ask_open_e2": 700, "free_e6": 1_000_000}
    # 300 of the 1,000 held are left to close, so 200 open at 50 cents each.
    assert refusal(an_order(Side.ASK), **view) is None
    assert refusal(an_order(Side.ASK), **{**view, "free_e6": 999_999}) == Refusal(
        "shard_balance", 999_999, 1_000_000, "dollars_e6"
    )


money = st.integers(-20_000_000, 20_000_000)
views = st.builds(
    RiskView,
    position_e2=st.integers(-3_000, 3_000),
    bid_open_e2=st.integers(0, 3_000),
    ask_open_e2=st.integers(0, 3_000),
    loss_if_yes_e6=money,
    loss_if_no_e6=money,
    event=st.builds(EventLoss, st.booleans(), money, st.integers(0, 20_000_000), money),
    account_others_e6=st.integers(0, 40_000_000),
    event_contracts_others_e2=st.integers(0, 8_000),
    account_contracts_others_e2=st.integers(0, 12_000),
    market_orders=st.integers(0, 5),
    account_orders=st.integers(0, 40),
    own_bid_max_e4=st.none() | st.integers(1, 9_999),
    own_ask_min_e4=st.none() | st.integers(1, 9_999),
    same_price_open=st.integers(0, 3),
    reference_e4=st.none() | st.floats(0, 10_000) | st.just(float("nan")),
    reference_age_ms=st.none() | st.integers(0, 4_000),
    grid=st.none() | st.just(GRID),
    free_e6=st.none() | st.integers(-1_000_000, 20_000_000),
    cash_e6=st.none() | st.integers(-1_000_000, 400_000_000),
    balance_age_ms=st.none() | st.integers(0, 30_000),
    orders_last_s=st.integers(0, 20),
    notional_last_minute_e6=st.integers(0, 60_000_000),
    repeated_last_s=st.integers(0, 4),
)


@settings(max_examples=300, deadline=None)
@given(
    view=views,
    side=st.sampled_from(Side),
    price_e4=st.integers(1, 9_999),
    small=st.integers(1, 2_000),
    more=st.integers(0, 2_000),
    is_change=st.booleans(),
    is_exit=st.booleans(),
)
def test_rule_never_passes_more_where_it_refuses_less(
    *,
    view: RiskView,
    side: Side,
    price_e4: int,
    small: int,
    more: int,
    is_change: bool,
    is_exit: bool,
) -> None:
    order = Order("M1", "E1", side, price_e4, small, is_change=is_change, is_exit=is_exit)
    larger = msgspec.structs.replace(order, qty_e2=small + more)
    for rule in rules_of(LIMITS):
        if rule.check(order, view) is not None:
            assert rule.check(larger, view) is not None, rule


@settings(max_examples=300, deadline=None)
@given(
    view=views,
    side=st.sampled_from(Side),
    price_e4=st.integers(-10_000, 20_000),
    qty_e2=st.integers(-(2**62), 2**62),
)
def test_no_number_makes_a_rule_stumble_or_passes_unseen(
    view: RiskView, side: Side, price_e4: int, qty_e2: int
) -> None:
    """F22: zero, negative and absurd numbers are refused, never an exception."""
    answers = [rule.check(Order("M1", "E1", side, price_e4, qty_e2), view) for rule in rules_of(LIMITS)]
    assert all(answer is None or answer.rule in RULES for answer in answers)
    passed = all(answer is None for answer in answers)
    assert not passed or (0 < price_e4 < 10_000 and 0 < qty_e2 <= LIMITS.order_qty_e2_max)
