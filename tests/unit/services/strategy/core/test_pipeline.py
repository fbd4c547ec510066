from __future__ import annotations

from typing import Any

import pytest

from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.target import QuoteV1
from services.strategy.core.maker import STEPS
from services.strategy.core.pipeline import decide, refuse
from tests.support.market_builders import MARKET, NOW_MS, TENTH, book, features, position
from tests.support.strategy_builders import plan

_PLAIN: dict[str, Any] = {
    "weighted_mid_weight": 0.0,
    "micro_weight": 0.0,
    "alpha": 0.0,
    "width_k": 50.0,
    "variance_prior": 0.0,
    "gamma": 0.0,
}


def test_the_golden_ask_at_65_cents() -> None:
    """A-056: selling YES at 0.65 is an ask at 0.6500, which is buying NO with a YES price of 65."""
    seen = book(((6_300, 10_000),), ((6_500, 10_000),))
    target = decide(seen, position(), plan(half_width_ticks_min=1.0, **_PLAIN))
    assert QuoteV1(side=Side.ASK, price_e4=6_500, qty_e2=1_000) in target.quotes


def test_a_target_names_its_inputs_and_expires_by_exchange_time() -> None:
    target = decide(book(), position(epoch=3, sequence=9), plan(life_ms=2_500))
    assert target.decision_id == f"20261121-090000-md:{MARKET}:7"
    assert (target.book_producer, target.book_sequence) == ("20261121-090000-md", 7)
    assert (target.position_epoch, target.position_sequence) == (3, 9)
    assert target.expires_ms == NOW_MS + 2_500
    assert target.origin_mono_ns == 123
    assert target.strategy.startswith("dora-maker/1/")


def test_stage_effects_add_up_to_the_way_from_mid_to_quote() -> None:
    seen = book(
        ((4_870, 40_000),),
        ((5_090, 10_000),),
        steps=TENTH,
        features=features(4_980, micro_e4=4_991.0, variance_e8_s=4_000.0),
    )
    target = decide(seen, position(-2_000), plan(gamma=0.02))
    quotes = {quote.side: quote.price_e4 for quote in target.quotes}
    bid_ticks = sum(stage.bid_ticks_e2 for stage in target.stages) / 100
    ask_ticks = sum(stage.ask_ticks_e2 for stage in target.stages) / 100
    assert bid_ticks == pytest.approx((quotes[Side.BID] - 4_980) / 10, abs=0.05)
    assert ask_ticks == pytest.approx((quotes[Side.ASK] - 4_980) / 10, abs=0.05)
    names = [step.name for step in STEPS]
    told = [stage.stage for stage in target.stages]
    assert told == [name for name in names if name in told]
    assert {"weighted_mid", "micro_price", "inventory_skew", "model_width", "snap"} <= set(told)


def test_a_stage_that_is_turned_off_has_no_effect() -> None:
    seen = book(((4_900, 40_000),), ((5_100, 10_000),))
    with_it = decide(seen, position(), plan())
    without = decide(seen, position(), plan(stages_off=("weighted_mid",)))
    assert "weighted_mid" in [stage.stage for stage in with_it.stages]
    assert "weighted_mid" not in [stage.stage for stage in without.stages]
    assert with_it.fair_e4 != without.fair_e4


def test_each_side_is_quoted_or_silent_never_both_or_neither() -> None:
    for held in (position(), position(5_000), position(-5_000), None):
        target = decide(book(), held, plan())
        sides = [quote.side for quote in target.quotes] + [silence.side for silence in target.silences]
        assert sorted(sides) == [Side.ASK, Side.BID]


def test_the_stage_that_silenced_is_the_last_in_the_record() -> None:
    target = decide(book(is_stale=True), position(), plan())
    assert [(stage.stage, stage.reason) for stage in target.stages] == [("market_state", Reason.STALE_BOOK)]


def test_an_error_becomes_an_empty_target_with_its_reason() -> None:
    target = refuse(book(), position(), plan(), Reason.STRATEGY_ERROR, "ZeroDivisionError")
    assert target.quotes == ()
    assert {silence.reason for silence in target.silences} == {Reason.STRATEGY_ERROR}
    assert target.decision_id == f"20261121-090000-md:{MARKET}:7"


def test_a_quote_may_improve_the_touch_inside_a_wide_spread() -> None:
    target = decide(book(((4_000, 10_000),), ((6_000, 10_000),)), position(), plan(**_PLAIN))
    quotes = {quote.side: quote.price_e4 for quote in target.quotes}
    assert (quotes[Side.BID], quotes[Side.ASK]) == (4_900, 5_100)
