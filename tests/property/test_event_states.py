"""The desk against brute force: every state of an event, every subset of fills, by the ledger."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.side import Side
from libs.common.risk.exposure import Open
from libs.common.risk.model import Order, RiskView
from services.executor.core.risk_desk import Holding, Reference, RiskDesk
from tests.support.worst_case import by_force_e6

NOW_NS = 1_000_000_000
opens = st.builds(Open, st.sampled_from(Side), st.integers(1, 9_999), st.integers(1, 500))


@st.composite
def holdings(draw: st.DrawFn, flags: st.SearchStrategy[bool | None]) -> Holding:
    qty = draw(st.integers(-500, 500))
    return Holding(
        position_e2=qty,
        cost_e6=abs(qty) * draw(st.integers(1, 9_999)),
        opened=tuple(draw(st.lists(opens, max_size=2))),
        shard=0,
        is_exclusive=draw(flags),
    )


def events(flags: st.SearchStrategy[bool | None], most: int = 4) -> st.SearchStrategy[dict[str, Holding]]:
    markets = st.sampled_from([f"M{n}" for n in range(most)])
    return st.dictionaries(markets, holdings(flags), min_size=1, max_size=most)


def a_desk(told: Iterable[tuple[str, str, Holding]]) -> RiskDesk:
    desk = RiskDesk()
    for market, event, holding in told:
        desk.refresh(market, event, holding)
    return desk


def look(desk: RiskDesk, order: Order, holding: Holding) -> RiskView:
    return desk.view(order, holding, NOW_NS, grid=None, reference=Reference())


yes_or_not = st.sampled_from((True, True, True, False, None))


@settings(max_examples=150, deadline=None)
@given(events(st.just(True)))
def test_exclusive_event_loses_what_its_worst_state_loses(event: dict[str, Holding]) -> None:
    desk = a_desk((market, "E", holding) for market, holding in event.items())
    assert desk.event_e6("E") == desk.account_e6 == by_force_e6(event)


@settings(max_examples=150, deadline=None)
@given(events(yes_or_not))
def test_one_market_whose_flag_is_unknown_or_down_makes_all_of_them_add_up(
    event: dict[str, Holding],
) -> None:
    desk = a_desk((market, "E", holding) for market, holding in event.items())
    assert desk.event_e6("E") == by_force_e6(event)


@settings(max_examples=100, deadline=None)
@given(events(st.just(True)), st.data())
def test_markets_that_nobody_told_of_change_nothing_that_they_could_win(
    event: dict[str, Holding], data: st.DataObject
) -> None:
    """An event with further outcomes that hold nothing of ours: whichever of them wins was counted."""
    empty = Holding(0, 0, (), 0, is_exclusive=True)
    whole = event | {f"X{n}": empty for n in range(data.draw(st.integers(1, 3)))}
    desk = a_desk((market, "E", holding) for market, holding in event.items())
    assert desk.event_e6("E") == by_force_e6(whole)


@settings(max_examples=150, deadline=None)
@given(events(yes_or_not), st.data())
def test_view_of_an_order_foresees_the_worst_case_with_it(
    event: dict[str, Holding], data: st.DataObject
) -> None:
    desk = a_desk((market, "E", holding) for market, holding in event.items())
    desk.refresh("other", "F", Holding(100, 300_000, (), 0))
    market = data.draw(st.sampled_from([*sorted(event), "new"]))
    holding = event.get(market, Holding(0, 0, (), 0, data.draw(yes_or_not)))
    one = data.draw(opens)
    order = Order(market, "E", one.side, one.price_e4, one.qty_e2)
    view = look(desk, order, holding)
    with_it = Holding(holding.position_e2, holding.cost_e6, (*holding.opened, one), 0, holding.is_exclusive)
    after_e6 = view.event.with_market_e6(*view.losses_after_e6(order))
    assert after_e6 == by_force_e6(event | {market: with_it})
    assert view.account_others_e6 == 300_000
    desk.refresh(market, "E", with_it)
    assert desk.event_e6("E") == after_e6
    assert desk.account_e6 == after_e6 + view.account_others_e6


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(("E", "F")), holdings(yes_or_not)),
        min_size=1,
        max_size=25,
    )
)
def test_counting_change_by_change_ends_where_counting_afresh_does(
    told: list[tuple[str, str, Holding]],
) -> None:
    desk = a_desk(told)
    last = {market: (market, event, holding) for market, event, holding in told}
    fresh = a_desk(last.values())
    assert desk.account_e6 == fresh.account_e6
    for event in ("E", "F"):
        assert desk.event_e6(event) == fresh.event_e6(event)
    for market, event, holding in last.values():
        order = Order(market, event, Side.BID, 5_000, 100)
        assert look(desk, order, holding) == look(fresh, order, holding)


def test_forty_outcomes_of_which_each_was_sold_lose_one_and_keep_the_others_premium() -> None:
    sold = Holding(-100, 100 * 9_700, (), 0, is_exclusive=True)
    desk = a_desk((f"M{n}", "E", sold) for n in range(40))
    # Each market alone risks 97 cents; of forty only one can be lost, and 39 premiums of 3 cents are kept.
    assert desk.event_e6("E") == 0
    few = a_desk((f"M{n}", "E", sold) for n in range(4))
    assert few.event_e6("E") == 970_000 - 3 * 30_000
