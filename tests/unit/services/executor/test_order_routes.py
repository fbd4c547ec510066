"""Changes of living orders are signed ahead, those of ended ones are not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from libs.common.domain.side import Side
from libs.common.kalshi.order_sender import ChangeRoutes
from libs.common.kalshi.presign import Presigner, Route
from libs.common.kalshi.signing import Signer
from libs.common.messages.execution import OrderState, OrderV1
from libs.common.runtime.clock import ManualClock
from services.executor.core.requests import AmendRequest, DecreaseRequest
from services.executor.shell import order_routes
from services.executor.shell.order_routes import OrderRoutes
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM
from tests.unit.services.executor.test_publisher import order


def routes_of(order_id: str) -> ChangeRoutes:
    return ChangeRoutes(("POST", f"/orders/{order_id}/amend"), ("POST", f"/orders/{order_id}/decrease"))


def state_of(order_id: str, state: OrderState) -> OrderV1:
    return order(1, order_id=order_id, state=state)


def made() -> tuple[Presigner, OrderRoutes]:
    presigner = Presigner(Signer.from_pem("k", ED25519_PEM), ManualClock())
    return presigner, OrderRoutes(presigner, routes_of)


def test_an_order_is_watched_from_its_id_to_a_while_after_its_end() -> None:
    presigner, routes = made()
    routes.on_order(state_of("", OrderState.SENT))
    assert presigner.routes == frozenset()

    routes.on_order(state_of("o-1", OrderState.RESTING))
    routes.on_order(state_of("o-1", OrderState.PARTLY_FILLED))
    assert presigner.routes == frozenset(routes_of("o-1"))

    routes.on_order(state_of("o-1", OrderState.CANCELLED))
    assert presigner.routes == frozenset(routes_of("o-1")), "a change may still wait for the journal"
    for number in range(16):
        routes.on_order(state_of(f"p-{number}", OrderState.CANCELLED))
    assert presigner.routes == frozenset()


def test_an_order_that_comes_back_to_life_stays_watched() -> None:
    presigner, routes = made()
    for state in (OrderState.RESTING, OrderState.EXECUTED, OrderState.RESTING):
        routes.on_order(state_of("o-1", state))
    for number in range(20):
        routes.on_order(state_of(f"p-{number}", OrderState.CANCELLED))

    assert presigner.routes == frozenset(routes_of("o-1"))


def test_beyond_the_limit_the_oldest_goes() -> None:
    presigner, routes = made()
    for number in range(order_routes.ORDERS_MAX + 1):
        routes.on_order(state_of(f"o-{number}", OrderState.RESTING))

    assert len(presigner.routes) == 2 * order_routes.ORDERS_MAX
    assert routes_of("o-0")[0] not in presigner.routes


def test_a_planned_change_hurries_its_own_route_and_brings_back_one_that_was_given_up() -> None:
    presigner, routes = made()
    for number in range(order_routes.ORDERS_MAX + 1):
        routes.on_order(state_of(f"o-{number}", OrderState.RESTING))
    hurried: list[Route] = []
    presigner.hurry = lambda *asked: hurried.extend(asked)  # type: ignore[method-assign]
    amend = AmendRequest("o-7", "d-7", "M-1", 0, Side.BID, 4_800, 500, 0)
    change: Any = SimpleNamespace(
        amends=(SimpleNamespace(request=amend),),
        decreases=(DecreaseRequest("o-0", "d-0", "M-1", 0, 100, 400),),
    )

    routes.on_batch(change)

    assert hurried == [routes_of("o-7").amend, routes_of("o-0").decrease]
    assert set(hurried) <= presigner.routes


def test_who_signed_is_told() -> None:
    presigner, routes = made()
    routes.on_order(state_of("o-1", OrderState.RESTING))
    presigner.refresh()
    now_ms = ManualClock().now_ns() // 1_000_000
    presigner.headers(*routes_of("o-1")[0], now_ms)
    presigner.headers("POST", "/another", now_ms)

    assert routes.gauges() == {
        "signed_ahead": 2.0,
        "signed_hurried": 0.0,
        "signed_inline": 1.0,
        "signature_waits": 0.0,
        "signature_waited_ms": 0.0,
    }
