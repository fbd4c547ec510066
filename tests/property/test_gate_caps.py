"""Whatever is asked for, what was let through stays within every cap in every state of the world."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueBalance
from libs.common.messages.execution import OrderState
from libs.common.risk.model import Refusal
from services.executor.core.requests import CreateRequest
from services.executor.core.risk_desk import Holding
from tests.support.executor_builders import (
    GROUP,
    LIMITS,
    START_MS,
    START_NS,
    Desk,
    a_desk,
    a_fill,
    a_status,
    a_top,
    an_order,
)
from tests.support.worst_case import by_force_e6

TIGHT = msgspec.structs.replace(
    LIMITS,
    market_position_e2_max=900,
    market_exposure_e6_max=4_000_000,
    market_orders_max=2,
    event_contracts_e2_max=1_500,
    event_exposure_e6_max=5_000_000,
    account_contracts_e2_max=1_700,
    account_exposure_e6_max=7_000_000,
    account_orders_max=6,
)
CASH_E6 = 6_000_000
EVENTS = {"A-1": "A", "A-2": "A", "A-3": "A", "B-1": "B", "B-2": "B"}
"""Two events; the markets of one exclude each other if it says so."""


@dataclass(frozen=True)
class Wish:
    """An order that somebody would like, and how much of it fills at once."""

    market: str
    side: Side
    price_e4: int
    qty_e2: int
    filled_e2: int
    state: OrderState


wishes = st.builds(
    Wish,
    market=st.sampled_from(sorted(EVENTS)),
    side=st.sampled_from(Side),
    price_e4=st.integers(40, 60).map(lambda cents: cents * 100),
    qty_e2=st.integers(1, 6).map(lambda hundreds: hundreds * 100),
    filled_e2=st.sampled_from((0, 0, 0, 100)),
    state=st.sampled_from((OrderState.RESTING, OrderState.UNKNOWN, OrderState.INTENDED)),
)


def a_world(*, exclusive: dict[str, bool]) -> Desk:
    desk = a_desk(limits=TIGHT)
    for market, event in EVENTS.items():
        status = a_status(market, event=event, is_exclusive_event=exclusive[event])
        desk.engine.on_status(status, desk.now)
        desk.engine.on_top(a_top(market, event=event), desk.now)
    desk.engine.on_balance(VenueBalance(CASH_E6, {0: CASH_E6}, START_MS), START_NS)
    return desk


def held_by_venue_e6(holding: Holding) -> int:
    """Return what the venue holds back for a market's orders, by the careful reading of the simulated one.

    What closes the position needs nothing, in order of acceptance; everything else what it costs.
    """
    closable_e2 = {Side.BID: max(0, -holding.position_e2), Side.ASK: max(0, holding.position_e2)}
    held_e6 = 0
    for one in holding.opened:
        closing_e2 = min(closable_e2[one.side], one.qty_e2)
        closable_e2[one.side] -= closing_e2
        leg_e4 = one.price_e4 if one.side is Side.BID else 10_000 - one.price_e4
        held_e6 += leg_e4 * (one.qty_e2 - closing_e2)
    return held_e6


def ask_for(desk: Desk, number: int, wish: Wish) -> str:
    """Ask; where it is let through, let it live, and fill a part of it; else return the rule's name."""
    client = f"dora-sim-1-1-{number}-00000000"
    request = CreateRequest(
        wish.market, 0, client, wish.side, wish.price_e4, wish.qty_e2, GROUP, START_MS + 60_000
    )
    answer = desk.engine.quoter.approver.approve_create(request, desk.now)
    if isinstance(answer, Refusal):
        return answer.rule
    order = an_order(
        client_order_id=client,
        order_id=f"venue-{number}",
        market=wish.market,
        event=EVENTS[wish.market],
        side=wish.side,
        price_e4=wish.price_e4,
        initial_e2=wish.qty_e2,
        total_e2=wish.qty_e2,
        state=wish.state,
    )
    desk.engine.account.orders.add(order)
    if wish.filled_e2:
        desk.engine.intake.on_fill(a_fill(order, wish.filled_e2, f"t{number}", fee_e6=0), desk.now)
    desk.engine.account.touched(wish.market, desk.now)
    return ""


def holdings(desk: Desk) -> dict[str, Holding]:
    return {market: desk.engine.account.holding(market) for market in EVENTS}


def largest_e2(holding: Holding) -> int:
    bids = sum(one.qty_e2 for one in holding.opened if one.side is Side.BID)
    asks = sum(one.qty_e2 for one in holding.opened if one.side is Side.ASK)
    return max(holding.position_e2 + bids, asks - holding.position_e2)


@settings(max_examples=60, deadline=None)
@given(st.lists(wishes, min_size=4, max_size=16), st.booleans(), st.booleans())
def test_no_sequence_of_orders_and_fills_passes_any_cap_in_any_state(
    wanted: list[Wish], is_a: bool, is_b: bool
) -> None:
    desk = a_world(exclusive={"A": is_a, "B": is_b})
    for number, wish in enumerate(wanted):
        if ask_for(desk, number, wish):
            continue
        told, account = holdings(desk), desk.engine.account
        events = {
            event: {market: told[market] for market in EVENTS if EVENTS[market] == event}
            for event in ("A", "B")
        }
        losses = {event: by_force_e6(markets) for event, markets in events.items()}
        assert max(losses.values()) <= TIGHT.event_exposure_e6_max
        assert sum(losses.values()) == account.desk.account_e6 <= TIGHT.account_exposure_e6_max
        contracts = {market: largest_e2(holding) for market, holding in told.items()}
        for event, markets in events.items():
            assert sum(contracts[market] for market in markets) <= TIGHT.event_contracts_e2_max, event
        assert sum(contracts.values()) <= TIGHT.account_contracts_e2_max
        for market, holding in told.items():
            assert contracts[market] <= TIGHT.market_position_e2_max
            assert by_force_e6({market: holding}) <= TIGHT.market_exposure_e6_max
            assert len(holding.opened) <= TIGHT.market_orders_max
            crossing = [
                (bid, ask)
                for bid in holding.opened
                for ask in holding.opened
                if bid.side is Side.BID and ask.side is Side.ASK and bid.price_e4 >= ask.price_e4
            ]
            assert crossing == []
        assert sum(len(holding.opened) for holding in told.values()) <= TIGHT.account_orders_max
        cash_e6 = CASH_E6 + sum(holding.cash_e6 for holding in told.values())
        assert sum(map(held_by_venue_e6, told.values())) <= cash_e6


def test_wishes_of_the_property_meet_many_rules_and_many_pass() -> None:
    """The property above says something: seeded wishes are both let through and refused, by many rules."""
    chance, passed, told = random.Random(8), 0, Counter[str]()
    for _ in range(60):
        desk = a_world(exclusive={"A": True, "B": False})
        for number in range(16):
            wish = Wish(
                chance.choice(sorted(EVENTS)),
                chance.choice(tuple(Side)),
                chance.randrange(40, 61) * 100,
                chance.randrange(1, 7) * 100,
                chance.choice((0, 0, 0, 100)),
                OrderState.RESTING,
            )
            rule = ask_for(desk, number, wish)
            passed += not rule
            told[rule] += bool(rule)
    assert passed > 200
    assert {rule for rule, count in told.items() if count} >= {
        "self_cross",
        "duplicate",
        "max_market_orders",
        "max_account_orders",
        "max_market_position",
        "max_event_contracts",
        "max_account_contracts",
        "max_market_exposure",
        "max_event_exposure",
        "max_account_exposure",
        "shard_balance",
    }
