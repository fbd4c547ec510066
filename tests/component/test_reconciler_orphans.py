"""The register of orphans over a real bus: found, listed, resolved by a person, and known after a restart."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from libs.cli import orphans, reconcile, table_sources
from libs.cli.operate import OperationRefused
from libs.common.messages.risk import OrphanAskV1
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.exchange import running_exchange
from tests.support.truth_apps import SUBJECTS, FakeExecutor, permits, reconciler, serving
from tests.support.truth_builders import client_id


async def test_an_orphan_is_listed_resolved_and_known_after_a_restart(
    tmp_path: Path, streams_url: str, connect: Connect
) -> None:
    async with running_exchange(tmp_path, synthetic_events_per_s=5.0) as exchange:
        bus, mine = await connect("reconciler"), await connect("test")
        venue = exchange.exchange.venue
        cash_e6 = sum(venue.accounts["main"].cash_e6.values())
        executor = FakeExecutor(mine, cash_e6, time.time_ns() // 1_000_000)
        ear = await permits(mine, "permit.recon")
        market = next(iter(venue.markets))
        async with serving(reconciler(exchange, bus), bus, "reconciler"):
            await executor.lead()
            await eventually(lambda: ear.last is not None and ear.last.is_open, 10, what="an open permit")
            placed = await exchange.order(market, "bid", "0.0100", client_order_id="by-hand")
            stray = await exchange.order(market, "bid", "0.0200", client_order_id=client_id(77))

            async def listed() -> bool:
                return len(await table_sources.read_table(mine, SUBJECTS, "orphaned-orders")) == 2

            await eventually(listed, 10, poll_s=0.1, what="two orphans in the register")
            result = await reconcile.run_now(mine, SUBJECTS)
            assert {orphan.order_id for orphan in result.orphans} == {placed["order_id"], stray["order_id"]}
            assert result.orphaned_detected == 2

            ask = OrphanAskV1(id=placed["order_id"], action="FALSE_POSITIVE", by="ada", reason="a test")
            row = await orphans.resolve(mine, SUBJECTS, ask)
            assert (row.resolved, row.user_id, row.reason) == (True, "ada", "a test")
            with pytest.raises(OperationRefused, match="resolved before"):
                await orphans.resolve(mine, SUBJECTS, ask)

            # Ours is cancelled at the venue, as an executor that lives would do it; the row closes itself.
            await exchange.sim("cancel", {"account": "main", "order_id": stray["order_id"]})

            async def closed() -> bool:
                rows = await table_sources.read_table(mine, SUBJECTS, "orphaned-orders")
                return {r["resolution_action"] for r in rows} == {"FALSE_POSITIVE", "AUTO_CLOSE"}

            await eventually(closed, 10, poll_s=0.1, what="both rows resolved")
        again = reconciler(exchange, bus)
        async with serving(again, bus, "reconciler"):
            await eventually(
                lambda: any(d.kind == "foreign_order" for d in _drifts(again)), 10, what="the foreign order"
            )
            rows = await table_sources.read_table(mine, SUBJECTS, "orphaned-orders")
            assert len(rows) == 2
            assert all(r["resolved"] for r in rows)
        await executor.die()
        assert venue.floor.orders[placed["order_id"]].is_resting, "a foreign order is never touched"


async def test_tables_are_read_from_the_streams_when_no_service_runs(
    streams_url: str, connect: Connect
) -> None:
    bus = await connect("test")
    await bus.append(SUBJECTS.of("ctl.halt", "operator"), b"stop", msg_id="h1")
    await bus.append(SUBJECTS.of("fill", "KX"), b"garbage", msg_id="f1")
    events = await table_sources.read_table(bus, SUBJECTS, "kill-switch-events")
    assert [row["reason"] for row in events] == ["born halted", "stop"]
    assert events[-1]["resolved_at"] is None
    assert events[-1]["triggered_at"].startswith("20")
    assert await table_sources.read_table(bus, SUBJECTS, "trade-audits") == []
    assert await table_sources.read_table(bus, SUBJECTS, "orphaned-orders") == []


def _drifts(app: Any) -> tuple[Any, ...]:
    last = app._core.last_result
    return () if last is None else last.drifts
