"""The tape's book against hand-made cases and against what anybody could have been filled at most."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.side import Side
from services.simexchange.core.engine import External
from services.simexchange.core.orders import Order, SelfTradePrevention, TimeInForce
from services.simexchange.core.queue_model import QueueModel
from services.simexchange.core.tape import TapeDelta, TapeSnapshot, TapeTrade
from services.simexchange.core.tape_book import TapeBook
from services.simexchange.shell.tape_files import find_tapes
from tests.support.shared import requires_shared, shared_dir

_numbers = itertools.count(1)


def an_order(
    side: Side = Side.BID,
    price_e4: int = 5_000,
    qty_e2: int = 1_000,
    account: str = "main",
    stp: SelfTradePrevention = SelfTradePrevention.TAKER_AT_CROSS,
) -> Order:
    return Order(
        order_id=f"o-{next(_numbers)}",
        account=account,
        client_order_id="",
        market="M",
        event="E",
        shard=0,
        side=side,
        price_e4=price_e4,
        initial_e2=qty_e2,
        remaining_e2=qty_e2,
        tif=TimeInForce.GOOD_TILL_CANCELED,
        stp=stp,
        created_ns=0,
        updated_ns=0,
    )


def book(
    *, bids: dict[int, int] | None = None, asks: dict[int, int] | None = None, model: str = "pessimistic"
) -> TapeBook:
    made = TapeBook(QueueModel(model))
    made.reset(list((bids or {}).items()), list((asks or {}).items()))
    return made


def filled(external: External) -> int:
    return sum(m.qty_e2 for m in external.matches)


def sold(made: TapeBook, price_e4: int, qty_e2: int) -> External:
    """Play a recorded sale into the bids and the level change that follows it."""
    external = made.apply_trade(Side.ASK, price_e4, qty_e2, 0)
    made.apply_level(Side.BID, price_e4, -qty_e2, 0)
    return external


def test_an_order_waits_behind_what_was_displayed_when_it_came() -> None:
    made = book(bids={5_000: 3_000})
    order = an_order()
    made.rest(order)
    made.apply_level(Side.BID, 5_000, 700, 0)
    assert made.ahead_of(order) == 3_000
    assert made.best(Side.BID) == (5_000, 4_700)
    assert filled(sold(made, 5_000, 2_999)) == 0
    assert filled(sold(made, 5_000, 301)) == 300


def test_what_we_took_of_a_trade_is_not_announced_twice() -> None:
    made = book(bids={5_000: 500})
    made.rest(an_order(qty_e2=200))
    external = made.apply_trade(Side.ASK, 5_000, 600, 0)
    assert filled(external) == 100
    assert external.public == ((5_000, 500),)


def test_a_trade_through_our_price_fills_us_first() -> None:
    made = book(bids={4_900: 5_000})
    made.rest(an_order(price_e4=5_000, qty_e2=300))
    external = made.apply_trade(Side.ASK, 4_900, 1_000, 0)
    assert [(m.price_e4, m.qty_e2) for m in external.matches] == [(5_000, 300)]
    assert external.public == ((4_900, 700),)


def test_own_orders_at_one_price_are_filled_by_arrival() -> None:
    made = book(bids={5_000: 100})
    first, second = an_order(qty_e2=200), an_order(qty_e2=200, account="outsider")
    made.rest(first)
    made.apply_level(Side.BID, 5_000, 50, 0)
    made.rest(second)
    external = made.apply_trade(Side.ASK, 5_000, 400, 0)
    assert [(m.maker, m.qty_e2) for m in external.matches] == [(first, 200), (second, 50)]


@pytest.mark.parametrize(
    ("model", "ahead_e2"), [("pessimistic", 600), ("proportional", 360), ("optimistic", 200)]
)
def test_cancels_advance_us_as_the_model_says(model: str, ahead_e2: int) -> None:
    made = book(bids={5_000: 600}, model=model)
    order = an_order()
    made.rest(order)
    made.apply_level(Side.BID, 5_000, 400, 0)
    made.apply_level(Side.BID, 5_000, -400, 0)
    assert made.ahead_of(order) == ahead_e2


def test_a_reduction_by_trade_is_no_cancel_for_the_optimist() -> None:
    made = book(bids={5_000: 600}, model="optimistic")
    order = an_order()
    made.rest(order)
    sold(made, 5_000, 100)
    assert made.ahead_of(order) == 500


def test_a_recorded_order_that_arrives_across_our_price_trades_with_us() -> None:
    made = book(bids={4_900: 100}, asks={5_200: 100})
    made.rest(an_order(price_e4=5_000, qty_e2=300))
    external = made.apply_level(Side.ASK, 5_000, 1_000, 0)
    assert [(m.price_e4, m.qty_e2) for m in external.matches] == [(5_000, 300)]
    assert made.best(Side.BID) == (4_900, 100)
    assert made.best(Side.ASK) == (5_000, 700)


def test_a_crossing_order_takes_recorded_depth_and_cannot_take_it_twice() -> None:
    made = book(asks={5_000: 300, 5_100: 300})
    taker = an_order(price_e4=5_100, qty_e2=400)
    assert made.fillable_e2(taker) == 400
    matched = made.match(taker, 0)
    assert [(m.maker, m.price_e4, m.qty_e2) for m in matched.matches] == [
        (None, 5_000, 300),
        (None, 5_100, 100),
    ]
    assert made.best(Side.ASK) == (5_100, 200)
    assert made.fillable_e2(an_order(price_e4=5_000)) == 0
    assert made.recorded(Side.ASK)[5_000] == 300


def test_a_recorded_cancel_takes_the_consumed_quantity_first() -> None:
    made = book(asks={5_000: 300})
    made.match(an_order(qty_e2=200), 0)
    assert made.apply_level(Side.ASK, 5_000, -150, 0).changes == ()
    assert made.best(Side.ASK) == (5_000, 100)
    (change,) = made.apply_level(Side.ASK, 5_000, -150, 0).changes
    assert change.change_e2 == -100
    made.apply_level(Side.ASK, 5_000, 50, 0)
    assert made.best(Side.ASK) == (5_000, 50)


def test_self_trade_prevention_stops_the_taker_or_takes_the_maker_out() -> None:
    made = book(asks={5_000: 100})
    own = an_order(Side.ASK, 5_000, 500)
    made.rest(own)
    stopped = made.match(an_order(qty_e2=300), 0)
    assert stopped.is_stopped
    assert sum(m.qty_e2 for m in stopped.matches) == 100
    made.apply_level(Side.ASK, 5_000, 70, 0)
    matched = made.match(an_order(qty_e2=300, stp=SelfTradePrevention.MAKER), 0)
    assert matched.self_cancelled == (own,)
    assert sum(m.qty_e2 for m in matched.matches) == 70
    assert made.remove(own) == 0


def test_accounts_trade_with_each_other_at_their_place_in_the_queue() -> None:
    made = book(asks={5_000: 100})
    maker = an_order(Side.ASK, 5_000, 200, account="outsider")
    made.rest(maker)
    made.apply_level(Side.ASK, 5_000, 80, 0)
    matched = made.match(an_order(qty_e2=330), 0)
    assert [(m.maker, m.qty_e2) for m in matched.matches] == [(None, 100), (maker, 200), (None, 30)]
    assert made.best(Side.ASK) == (5_000, 50)


def test_removing_and_reducing_change_what_is_displayed() -> None:
    made = book(bids={5_000: 100})
    order = an_order(qty_e2=300)
    made.rest(order)
    made.reduce(order, 100)
    assert list(made.displayed(Side.BID)) == [(5_000, 300)]
    assert made.remove(order) == 200
    assert list(made.displayed(Side.BID)) == [(5_000, 100)]


# Random tapes ----------------------------------------------------------------------------------------


@dataclass
class Played:
    """A random recording with one resting bid in it: fills, and the most that could have come."""

    fills_e2: list[int] = field(default_factory=list)
    reachable_e2: list[int] = field(default_factory=list)


PRICES = st.sampled_from([4_800, 4_900, 5_000, 5_100, 5_200])
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["add_bid", "cancel_bid", "sell", "add_ask", "cancel_ask"]),
        PRICES,
        st.integers(1, 400),
    ),
    max_size=60,
)


def play(acts: list[tuple[str, int, int]], model: QueueModel, price_e4: int) -> Played:
    made = TapeBook(model)
    made.reset([(4_800, 500), (4_900, 500), (5_000, 500)], [(5_100, 500), (5_200, 500)])
    made.rest(an_order(price_e4=price_e4, qty_e2=700))
    played, total_e2, reach_e2 = Played(), 0, 0
    for act, at_e4, qty_e2 in acts:
        match act:
            case "add_bid":
                if at_e4 <= 5_000:
                    made.apply_level(Side.BID, at_e4, qty_e2, 0)
            case "cancel_bid":
                made.apply_level(Side.BID, at_e4, -qty_e2, 0)
            case "sell":
                there_e2 = min(qty_e2, made.recorded(Side.BID).get(at_e4, 0))
                if there_e2:
                    reach_e2 += there_e2 if at_e4 <= price_e4 else 0
                    total_e2 += filled(sold(made, at_e4, there_e2))
            case "add_ask":
                reach_e2 += qty_e2 if at_e4 <= price_e4 else 0
                if at_e4 > 5_000 or at_e4 <= price_e4:
                    total_e2 += filled(made.apply_level(Side.ASK, at_e4, qty_e2, 0))
            case "cancel_ask":
                made.apply_level(Side.ASK, at_e4, -qty_e2, 0)
        played.fills_e2.append(total_e2)
        played.reachable_e2.append(reach_e2)
        bid, ask = made.best(Side.BID), made.best(Side.ASK)
        for side in Side:
            assert all(q > 0 for _, q in made.displayed(side))
        own = next(iter(made.resting()), None)
        if own is not None and ask is not None:
            assert ask[0] > own.price_e4, (bid, ask)
    return played


@settings(max_examples=200, deadline=None)
@given(ACTS, st.sampled_from([4_900, 5_000]))
def test_fills_never_pass_what_came_to_our_price_and_models_keep_their_order(
    acts: list[tuple[str, int, int]], price_e4: int
) -> None:
    runs = [play(acts, model, price_e4) for model in QueueModel]
    for run in runs:
        assert all(f <= r for f, r in zip(run.fills_e2, run.reachable_e2, strict=True))
    for lower, higher in itertools.pairwise(runs):
        assert all(a <= b for a, b in zip(lower.fills_e2, higher.fills_e2, strict=True))


@requires_shared
def test_without_our_orders_the_book_is_the_recorded_one() -> None:
    """Every inner snapshot of a real recording must be where the deltas before it led."""
    folder = shared_dir() / "data/kalshi-gold15m/events/KXGOLD15M-26AUG101830-30"
    (tape,) = find_tapes(folder)
    made = TapeBook()
    levels: dict[Side, dict[int, int]] = {Side.BID: {}, Side.ASK: {}}
    for event in tape.events():
        if isinstance(event, TapeSnapshot):
            levels = {Side.BID: dict(event.bids), Side.ASK: dict(event.asks)}
            for side, price_e4, change_e2 in made.difference(event.bids, event.asks):
                made.apply_level(side, price_e4, change_e2, 0)
        elif isinstance(event, TapeDelta):
            half = levels[event.side]
            half[event.price_e4] = max(0, half.get(event.price_e4, 0) + event.change_e2)
            made.apply_level(event.side, event.price_e4, event.change_e2, 0)
        elif isinstance(event, TapeTrade):
            assert not made.apply_trade(event.taker_side, event.price_e4, event.qty_e2, 0).matches
    for side in Side:
        assert dict(made.displayed(side)) == {p: q for p, q in levels[side].items() if q}
