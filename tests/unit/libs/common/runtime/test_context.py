"""What is bound is seen inside, travels as headers, and is gone outside."""

from __future__ import annotations

import asyncio

from libs.common.runtime.context import (
    bind_received,
    bound,
    bound_fields,
    fields_of,
    received,
    travelling_headers,
)


def test_binding_adds_to_what_is_bound_outside_and_ends() -> None:
    with bound(market="A"), bound(decision_id="d", market="B"):
        assert dict(bound_fields()) == {"market": "B", "decision_id": "d"}
    assert dict(bound_fields()) == {}


def test_only_the_named_fields_travel_and_come_back() -> None:
    with bound(market="A", decision_id="d", mood="calm", traceparent="00-1-2-01"):
        headers = travelling_headers()
    assert headers == {"Dora-Market": "A", "Dora-Decision": "d", "traceparent": "00-1-2-01"}
    assert fields_of({**headers, "Dora-Run": "r"}) == {
        "market": "A", "decision_id": "d", "traceparent": "00-1-2-01",
    }  # fmt: skip


def test_headers_are_fresh_at_every_call() -> None:
    with bound(market="A"):
        travelling_headers()["x"] = "y"
        assert "x" not in travelling_headers()


def test_a_received_message_replaces_what_is_bound() -> None:
    with bound(order_id="o"), received({"Dora-Market": "A"}):
        assert dict(bound_fields()) == {"market": "A"}


async def test_tasks_do_not_see_each_others_bindings() -> None:
    async def one() -> dict[str, str]:
        bind_received({"Dora-Market": "A"})
        await asyncio.sleep(0)
        return dict(bound_fields())

    async def other() -> dict[str, str]:
        await asyncio.sleep(0)
        return dict(bound_fields())

    first, second = await asyncio.gather(asyncio.create_task(one()), asyncio.create_task(other()))
    assert (first, second) == ({"market": "A"}, {})


async def test_the_next_message_of_a_task_forgets_the_one_before() -> None:
    async def handle() -> dict[str, str]:
        bind_received({"Dora-Market": "A"})
        bind_received({})
        return dict(bound_fields())

    assert await asyncio.create_task(handle()) == {}
