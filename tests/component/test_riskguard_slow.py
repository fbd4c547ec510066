"""What changes within days, read by the riskguard from the real simulated exchange and this very host."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.common.kalshi.model import AccountLimits, Bucket
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.token_bucket import TokenBucket
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import SystemClock
from services.riskguard.config import Timing
from services.riskguard.core.slow.readings import (
    DiskRead,
    EventFees,
    FeesRead,
    FilesRead,
    KeysRead,
    ScheduleRead,
    SlowRead,
    TierRead,
    Unread,
)
from services.riskguard.shell.slow_reader import SlowReader
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.exchange import RunningExchange, running_exchange
from tests.support.riskguard_limits import slow
from tests.support.slow_builders import TRADE
from tests.support.truth_apps import ACCOUNT, permits, riskguard, serving

ROW = "riskguard"


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[RunningExchange]:
    async with running_exchange(tmp_path, synthetic_events_per_s=1.0) as running:
        yield running


class Scene:
    """A reader of its own and what it told of the account's limits."""

    def __init__(self, exchange: RunningExchange, folder: Path) -> None:
        entry, clock = exchange.account(ROW), SystemClock()
        self.heard: list[AccountLimits] = []
        self.transport = make_transport(exchange.at.rest_url)
        self.venue = VenueReader(
            exchange.at.rest_url,
            self.transport,
            exchange.signer(ROW),
            clock,
            budget=TokenBucket(Bucket(1_000_000, 1_000_000), clock.mono_ns()),
        )
        self.key_file = Path(entry.key_file)
        files = {"venue key": self.key_file, "bus password": folder / "none"}
        self.reader = SlowReader(
            self.venue, entry.key_id, files, folder / "not" / "there", self.heard.append, clock
        )


@pytest.fixture
async def scene(exchange: RunningExchange, tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(exchange, tmp_path)
    yield made
    await made.transport.aclose()


async def kinds(reads: AsyncIterator[SlowRead]) -> dict[type, Any]:
    return {type(read): read async for read in reads}


async def test_all_terms_are_read_and_our_own_key_is_found_among_the_others(
    exchange: RunningExchange, scene: Scene
) -> None:
    key_id = exchange.account("trade").key_id
    await exchange.sim("scopes", {"key_id": key_id, "scopes": ["read", "write"]})

    told = await kinds(scene.reader.terms())

    assert set(told) == {KeysRead, TierRead, FeesRead, ScheduleRead}
    assert (told[KeysRead].scopes, told[KeysRead].movers) == (TRADE, 1)
    assert told[TierRead].limits.tier == "premier"
    assert told[FeesRead].changes == ()
    assert len(told[ScheduleRead].schedule.hours) == 1


async def test_the_accounts_limits_are_handed_on_when_they_change(
    exchange: RunningExchange, scene: Scene
) -> None:
    await kinds(scene.reader.terms())
    await kinds(scene.reader.terms())
    await exchange.sim("tier", {"account": ACCOUNT, "tier": "expert"})
    await kinds(scene.reader.terms())
    assert [limits.tier for limits in scene.heard] == ["expert"]


async def test_one_reading_that_fails_takes_no_other_with_it(exchange: RunningExchange, scene: Scene) -> None:
    await exchange.sim("faults", {"kind": "error_before", "match": "GET /api_keys", "count": 2})

    told = [read async for read in scene.reader.terms()]

    assert isinstance(told[0], Unread)
    assert told[0].kind == "keys"
    assert "503" in told[0].reason
    assert {type(read) for read in told[1:]} == {TierRead, FeesRead, ScheduleRead}


async def test_an_events_fees_are_those_of_its_series_under_its_own_override(
    exchange: RunningExchange, scene: Scene
) -> None:
    event = (await scene.venue.events())[0]
    series = await scene.venue.series(event.series)
    await exchange.sim("fee_changes", {"event": event.event, "seconds": 0, "multiplier_e4": 2_500})

    (told,) = [read async for read in scene.reader.event_fees((event.event,))]

    assert isinstance(told, EventFees)
    assert (told.event, told.series, told.override) == (event.event, event.series, (None, 2_500))
    assert told.series_terms == (series.fee_type, series.fee_multiplier_e4)
    (gone,) = [read async for read in scene.reader.event_fees(("NO-SUCH",))]
    assert isinstance(gone, Unread)


async def test_files_and_disk_are_looked_at_where_they_are(scene: Scene) -> None:
    written_s = time.time() - 1_000_000
    os.utime(scene.key_file, (written_s, written_s))

    told = await kinds(scene.reader.host())

    assert told[FilesRead].written_ms == {"venue key": int(written_s * 1_000), "bus password": None}
    disk = told[DiskRead]
    real = os.statvfs(scene.key_file)
    assert disk.used_bytes > 0
    assert abs(disk.free_bytes - real.f_bavail * real.f_frsize) < 10_000_000_000


async def test_the_service_opens_when_it_knows_its_key_and_shows_what_is_left(
    exchange: RunningExchange, tmp_path: Path, streams_url: str, connect: Connect
) -> None:
    """Keys that answer late hold up no listing; keys that do not answer are asked again."""
    del streams_url
    await exchange.sim(
        "faults", {"kind": "delay_before", "match": "GET /api_keys", "count": 1, "seconds": 2.0}
    )
    await exchange.sim("attested", {"account": ACCOUNT, "seconds": 10 * 86_400})
    bus = await connect("riskguard")
    heard = await permits(await connect("test"), "permit.risk")
    timing = Timing(evaluate_ms=50, listing_ms=300, slow_ms=500, host_ms=500)
    limits = slow(forbid_transfers=True, credential_days_max=180)
    app = riskguard(exchange, bus, tmp_path / "state", limits=limits, timing=timing)

    def reasons() -> str:
        return "; ".join(heard.last.reasons) if heard.last else "nothing heard"

    async with serving(app, bus, "riskguard"):
        await eventually(lambda: app.status().is_ready, 1.5, what="an account that is read at once")
        assert "nobody knows what it may do" in "; ".join(app.status().reasons)
        await eventually(lambda: "wrong scopes" not in reasons(), 10, what="keys that are read")
        await eventually(lambda: "disk_free_mb" in app.status().gauges, 5)
        gauges = app.status().gauges
        assert gauges["attestation_days_left"] == pytest.approx(10, abs=0.05)
        assert gauges["credential_days_left"] == pytest.approx(180, abs=0.05)
        assert gauges["key_can_move_funds"] == 0
        assert gauges["keys_read_age_s"] <= 5

        key_id = exchange.account(ROW).key_id
        await exchange.sim("scopes", {"key_id": key_id, "scopes": ["read"]})
        await eventually(lambda: "it may not cancel" in reasons(), 5, what="a key that lost its scope")
        await exchange.sim("scopes", {"key_id": key_id, "scopes": ["read", "write::trade"]})
        await eventually(lambda: "wrong scopes" not in reasons(), 5, what="a key that has it again")
