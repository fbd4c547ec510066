"""What a halt reaches and what it leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.control.latch import Halted
from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueOrder
from libs.common.messages.base import encode
from libs.common.messages.control import GateState, HaltV1, ScopeKind, parse_halt
from libs.common.messages.execution import OrderState, Purpose
from services.executor.core.kill_reach import KillReach
from services.executor.core.kill_scope import WHOLE, KillScope
from services.executor.core.reducing import Resting, adding, shrinking
from tests.support.executor_builders import (
    EVENT,
    GROUP,
    MARKET,
    Desk,
    a_desk,
    a_fill,
    a_quote,
    an_order,
    told,
)

KEYS = {
    ScopeKind.ACCOUNT: "",
    ScopeKind.SHARD: "2",
    ScopeKind.SERIES: "KXRAIN",
    ScopeKind.EVENT: "KXRAIN-26",
    ScopeKind.MARKET: "KXRAIN-26-T1",
    ScopeKind.STRATEGY: "maker",
}


@pytest.mark.parametrize("kind", list(ScopeKind))
def test_each_scope_reaches_its_own_and_nothing_beside_it(kind: ScopeKind) -> None:
    mine = ("KXRAIN-26-T1", "KXRAIN-26", 2, "maker/1/ab")
    other = ("KXSNOW-26-T1", "KXSNOW-26", 1, "taker/1/cd")
    scope = KillScope.of(HaltV1(reason="x", scope=kind, scope_key=KEYS[kind]))
    assert scope.reaches(*mine)
    assert scope.reaches(*other) is (kind is ScopeKind.ACCOUNT)


@pytest.mark.parametrize("key", ["02", " 2", "2 "])
def test_shard_is_halted_however_its_number_is_written(key: str) -> None:
    halt = parse_halt(encode(HaltV1(reason="x", scope=ScopeKind.SHARD, scope_key=key)))
    scope = KillScope.of(halt)
    assert (scope.shard, scope.triggers(2), scope.reaches(MARKET, EVENT, 2, "")) == (2, True, True)
    assert Halted(1, "operator", halt).reaches({ScopeKind.SHARD: "2"}), "the gate says the same"


@pytest.mark.parametrize("key", ["two", "-1", "9" * 5_000, " "])
def test_halt_of_a_shard_that_is_none_halts_the_account(key: str) -> None:
    halt = parse_halt(encode(HaltV1(reason="x", scope=ScopeKind.SHARD, scope_key=key)))
    assert KillScope.of(halt).is_whole


def test_order_of_nobody_knows_which_strategy_belongs_to_the_halted_one() -> None:
    assert KillScope(ScopeKind.STRATEGY, "maker").reaches(MARKET, EVENT, 0, "")


def test_groups_are_triggered_only_where_all_that_is_in_them_must_go() -> None:
    assert WHOLE.triggers(1)
    assert KillScope(ScopeKind.SHARD, "1").triggers(1)
    assert not KillScope(ScopeKind.SHARD, "1").triggers(2)
    assert not KillScope(ScopeKind.MARKET, MARKET).triggers(1)
    assert not KillScope(level=GateState.REDUCE_ONLY).triggers(1)
    assert KillScope(ScopeKind.SHARD, "odd").shard == -1, "a key that names no shard reaches none"


@given(
    st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 50)), max_size=6),
    st.integers(-60, 60),
)
def test_what_may_stay_can_never_make_the_position_larger_whatever_of_it_fills(
    rows: list[tuple[Side, int]], position_e2: int
) -> None:
    orders = [Resting(str(number), side, qty) for number, (side, qty) in enumerate(rows)]
    gone = adding(orders, position_e2)
    kept = [order for order in orders if order.client_order_id not in gone]
    after = position_e2 + sum(order.side.sign * order.open_e2 for order in kept)
    assert abs(after) <= abs(position_e2)
    assert after * position_e2 >= 0
    assert len({order.side for order in kept}) <= 1
    wanted = shrinking([a_quote(side, 5_000, qty) for side, qty in rows], position_e2)
    assert sum(quote.qty_e2 for quote in wanted) <= abs(position_e2)
    assert all(quote.side.sign * position_e2 < 0 for quote in wanted)


def reach(desk: Desk, scope: KillScope, *groups: str) -> KillReach:
    return KillReach(desk.engine.account, scope, "sim", frozenset(groups))


def test_order_in_flight_and_unknown_is_in_reach_until_something_is_known() -> None:
    desk = a_desk()
    order = an_order(state=OrderState.SENT, order_id="")
    desk.engine.account.orders.add(order)
    assert reach(desk, KillScope(ScopeKind.MARKET, MARKET)).own(0) == [order]
    assert reach(desk, KillScope(ScopeKind.MARKET, "M-2")).own(0) == []
    assert reach(desk, WHOLE).own(1) == []


def test_foreign_order_is_left_alone_unless_it_sits_in_a_group_of_ours() -> None:
    desk = a_desk()

    def foreign(group: str) -> VenueOrder:
        return told(an_order(client_order_id="somebody"), order_group_id=group)

    assert not reach(desk, WHOLE, GROUP).must_go(foreign(""))
    assert reach(desk, WHOLE, GROUP).must_go(foreign(GROUP))


def test_reduce_only_leaves_what_shrinks_the_position_and_exits() -> None:
    desk = a_desk()
    account = desk.engine.account
    for number, (side, purpose) in enumerate(
        [(Side.BID, Purpose.MAKER), (Side.ASK, Purpose.MAKER), (Side.ASK, Purpose.EXIT)]
    ):
        account.orders.add(
            an_order(client_order_id=f"c{number}", order_id=f"v{number}", side=side, purpose=purpose)
        )
    scope = KillScope(level=GateState.REDUCE_ONLY)

    def gone() -> list[str]:
        return [order.client_order_id for order in reach(desk, scope).own(0)]

    assert gone() == ["c0", "c1"], "flat: every quote adds"
    bought = an_order(client_order_id="old", order_id="old", state=OrderState.EXECUTED, filled_e2=500)
    account.orders.add(bought)
    desk.engine.intake.on_fill(a_fill(bought, 500), desk.now)
    assert gone() == ["c0"], "long by as much as the ask sells"
    ask = account.orders.by_client("c1")
    assert ask is not None
    assert not reach(desk, scope).must_go(told(ask))
