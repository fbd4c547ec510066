from __future__ import annotations

from typing import Any

from libs.cli.audit import Account, Journal, compare
from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueFill, VenueOrder, VenueOrderStatus, VenuePosition, VenueSettlement
from libs.common.messages.execution import Action, FillV1, IntentItemV1, IntentV1

START_E6 = 1_000_000_000


def fill(
    trade_id: str, side: Side, price_e4: int, qty_e2: int, *, fee_e6: int = 0, market: str = "M"
) -> FillV1:
    return FillV1(
        account="main",
        market=market,
        shard=0,
        trade_id=trade_id,
        order_id="o1",
        client_order_id="c1",
        decision_id="",
        side=side,
        price_e4=price_e4,
        qty_e2=qty_e2,
        fee_e6=fee_e6,
        is_taker=False,
        venue_ms=0,
        position_after_e2=0,
        pnl_delta_e6=0,
    )


def theirs(f: FillV1) -> VenueFill:
    return VenueFill(
        f.trade_id,
        f.order_id,
        "",
        f.market,
        0,
        f.side,
        f.price_e4,
        f.qty_e2,
        f.fee_e6,
        is_taker=False,
        venue_ms=0,
    )


def order(order_id: str, client_order_id: str, status: VenueOrderStatus) -> VenueOrder:
    return VenueOrder(order_id, client_order_id, "M", 0, Side.BID, 4_000, 100, 0, 0, status)


def intents(*client_order_ids: str) -> list[IntentV1]:
    items = tuple(
        IntentItemV1(
            action=Action.CREATE,
            market="M",
            shard=0,
            client_order_id=name,
            side=Side.BID,
            price_e4=4_000,
            qty_e2=100,
            decision_id="",
        )
        for name in client_order_ids
    )
    return [IntentV1(account="main", epoch=1, batch=1, items=items, issued_ns=0)]


def account(balance_e6: int, **parts: Any) -> Account:
    return Account(
        balance_e6=balance_e6, **{"orders": [], "fills": [], "positions": [], "settlements": [], **parts}
    )


def test_agreement_leaves_nothing() -> None:
    bought = fill("t1", Side.BID, 4_000, 500, fee_e6=1_700)
    verdict = compare(
        Journal(intents("c1"), [bought, bought]),
        account(
            START_E6 - 2_000_000 - 1_700,
            orders=[order("o1", "c1", VenueOrderStatus.EXECUTED)],
            fills=[theirs(bought)],
            positions=[VenuePosition("M", 0, 500, 2_000_000, 0, 1_700)],
        ),
        START_E6,
    )

    assert (verdict.orphans, verdict.duplicates, verdict.fills_missing) == (0, 0, 0)
    assert (verdict.position_residual_e2, verdict.cash_residual_e6) == (0, 0)
    assert verdict.ledger.fees_e6 == 1_700


def test_a_settled_market_pays_and_leaves_no_position() -> None:
    bought = fill("t1", Side.BID, 4_000, 500)
    verdict = compare(
        Journal(intents("c1"), [bought]),
        account(
            START_E6 + 3_000_000,
            fills=[theirs(bought)],
            settlements=[VenueSettlement("M", "E", 0, "yes", 500, 0, 5_000_000, 0, 1)],
        ),
        START_E6,
    )

    assert (verdict.position_residual_e2, verdict.cash_residual_e6) == (0, 0)


def test_a_fill_we_never_heard_of_shows_in_quantity_and_money() -> None:
    unheard = fill("t1", Side.BID, 4_000, 500)
    verdict = compare(
        Journal([], []),
        account(
            START_E6 - 2_000_000,
            fills=[theirs(unheard)],
            positions=[VenuePosition("M", 0, 500, 2_000_000, 0, 0)],
        ),
        START_E6,
    )

    assert verdict.position_residual_e2 == 500
    assert verdict.cash_residual_e6 == 2_000_000
    assert verdict.fills_missing == 1


def test_an_order_without_an_intent_and_one_still_resting_are_orphans() -> None:
    orders = [
        order("o1", "foreign", VenueOrderStatus.CANCELED),
        order("o2", "c1", VenueOrderStatus.RESTING),
        order("o3", "c2", VenueOrderStatus.EXECUTED),
    ]

    assert compare(Journal(intents("c1", "c2"), []), account(START_E6, orders=orders), START_E6).orphans == 2


def test_one_client_order_id_on_two_orders_is_a_duplicate() -> None:
    orders = [order(name, "c1", VenueOrderStatus.CANCELED) for name in ("o1", "o2")]

    assert compare(Journal(intents("c1"), []), account(START_E6, orders=orders), START_E6).duplicates == 1
