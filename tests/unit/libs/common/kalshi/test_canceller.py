import ast
import inspect
import socket
from collections.abc import AsyncIterator

import pytest

from libs.common.kalshi import canceller as canceller_module
from libs.common.kalshi.canceller import Accepted, Canceller, Refused, Unknown
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import ManualClock
from tests.support.scripted_http import DROP, ScriptedHttp, answer, scripted_http
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM

NOT_FOUND = {"error": {"code": "not_found", "message": "not found"}}


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    async with scripted_http(lambda _: answer(204)) as running:
        yield running


@pytest.fixture
async def canceller(http: ScriptedHttp) -> AsyncIterator[Canceller]:
    transport = make_transport(http.url)
    yield Canceller(http.url, transport, Signer.from_pem("k", ED25519_PEM), ManualClock())
    await transport.aclose()


async def test_a_cancel_names_market_and_shard(http: ScriptedHttp, canceller: Canceller) -> None:
    http.script = lambda _: answer(200, {"order_id": "o1", "reduced_by": "1.00", "ts_ms": 3})

    assert await canceller.cancel("o1", "KX-B52.5", 2) == Accepted("o1", "", 0, 0, 100, 3)
    assert http.seen[0].method == "DELETE"
    assert http.seen[0].path == "/trade-api/v2/portfolio/events/orders/o1"
    assert http.seen[0].query == "exchange_index=2&market_ticker=KX-B52.5"


async def test_an_order_that_is_no_longer_there_is_a_refusal(
    http: ScriptedHttp, canceller: Canceller
) -> None:
    http.script = lambda _: answer(404, NOT_FOUND)

    assert await canceller.cancel("o1", "M", 0) == Refused(404, "not_found", "not found")


async def test_an_empty_id_can_never_become_a_cancel_all(http: ScriptedHttp, canceller: Canceller) -> None:
    with pytest.raises(AssertionError):
        await canceller.cancel("", "M", 0)
    assert http.seen == []


async def test_a_batch_is_a_delete_with_a_body(http: ScriptedHttp, canceller: Canceller) -> None:
    http.script = lambda _: answer(
        200,
        {
            "orders": [
                {"order_id": "o2", "reduced_by": "0.00", "error": {"code": "not_found"}},
                {"order_id": "o1", "reduced_by": "5.00"},
            ]
        },
    )

    outcomes = await canceller.cancel_batch([("o1", "A", 0), ("o2", "B", 3), ("o3", "B", 3)])

    assert outcomes == [
        Accepted("o1", "", 0, 0, 500, 0),
        Refused(200, "not_found", ""),
        Unknown(200, "missing_item"),
    ]
    assert (http.seen[0].method, http.seen[0].target) == (
        "DELETE",
        "/trade-api/v2/portfolio/events/orders/batched",
    )
    assert http.seen[0].headers["content-type"] == "application/json"
    assert http.seen[0].json["orders"][1] == {"order_id": "o2", "market_ticker": "B", "exchange_index": 3}


async def test_cancel_all_names_nothing(http: ScriptedHttp, canceller: Canceller) -> None:
    assert isinstance(await canceller.cancel_all(), Accepted)
    assert (http.seen[0].method, http.seen[0].target) == ("DELETE", "/trade-api/v2/portfolio/events/orders")
    assert http.seen[0].body == b""


async def test_a_trigger_sends_an_empty_object_to_the_groups_shard(
    http: ScriptedHttp, canceller: Canceller
) -> None:
    http.script = lambda _: answer(200, {})

    assert isinstance(await canceller.trigger_group("g/1", 2), Accepted)
    assert (http.seen[0].method, http.seen[0].body) == ("PUT", b"{}")
    assert http.seen[0].target == "/trade-api/v2/portfolio/order_groups/g%2F1/trigger?exchange_index=2"
    assert canceller.trigger_route("g/1") == ("PUT", http.seen[0].path)
    assert http.seen[0].headers["content-type"] == "application/json"


async def test_a_lost_answer_is_unknown_and_not_repeated(http: ScriptedHttp, canceller: Canceller) -> None:
    http.script = lambda _: DROP

    assert await canceller.cancel("o1", "M", 0) == Unknown(0, "connection")
    assert await canceller.cancel_batch([("o1", "M", 0)]) == [Unknown(0, "connection")]
    assert await canceller.cancel_all() == Unknown(0, "connection")
    assert await canceller.trigger_group("g", 0) == Unknown(0, "connection")
    assert len(http.seen) == 4


async def test_a_cancel_that_could_not_leave_is_to_be_tried_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/trade-api/v2"
        canceller = Canceller(url, make_transport(url), Signer.from_pem("k", ED25519_PEM), ManualClock())
        assert await canceller.cancel("o1", "M", 0) == Unknown(0, "connection")


def test_the_module_knows_no_way_to_create() -> None:
    tree = ast.parse(inspect.getsource(canceller_module))
    imported = {n.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for n in node.names}
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert not any("Create" in name or "Amend" in name for name in imported)
    assert "libs.common.kalshi.order_sender" not in modules
    assert '"POST"' not in inspect.getsource(canceller_module)
