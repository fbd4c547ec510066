"""`dora init` on a real server: everything there, once, born halted; anything else refused."""

from __future__ import annotations

import json

import pytest

from libs.common.bus.api import BusUnavailable
from libs.common.bus.streams import assert_sync_always, create_streams
from libs.common.env import Env
from libs.common.messages.control import HaltV1, parse_halt
from libs.common.runtime.errors import ConfigError
from tests.support.bus import Connect
from tests.support.nats_server import NatsServer, own_server

ALL = ["SIM_CONTROL", "SIM_EXEC", "SIM_AUDIT", "SIM_MD", "KV_sim-cfg"]


async def test_a_fresh_server_gets_everything_once_and_is_born_halted(
    nats_url: str, connect: Connect
) -> None:
    assert await create_streams(nats_url, Env.SIM) == ALL
    assert await create_streams(nats_url, Env.SIM) == []
    bus = await connect(name="executor")
    halts = [message async for message in bus.read("dora.sim.ctl.>")]
    assert [message.subject for message in halts] == ["dora.sim.ctl.halt.init"]
    assert parse_halt(halts[0].data) == HaltV1(reason="born halted", trigger="init", by="dora init")


async def test_environments_do_not_share_streams(nats_url: str, connect: Connect) -> None:
    await create_streams(nats_url, Env.SIM)
    assert "PAPER_CONTROL" in await create_streams(nats_url, Env.PAPER)
    bus = await connect(name="executor")
    assert [message async for message in bus.read("dora.sim.ctl.resume.>")] == []


async def test_an_init_that_died_before_the_first_halt_is_mended(nats_url: str, connect: Connect) -> None:
    await create_streams(nats_url, Env.SIM)
    bus = await connect(name="init")
    config = (await bus._stored.info("SIM_CONTROL")).config
    await bus.request("$JS.API.STREAM.DELETE.SIM_CONTROL", b"")
    await bus.request("$JS.API.STREAM.CREATE.SIM_CONTROL", json.dumps(config).encode())
    assert await bus.last("dora.sim.ctl.>") is None
    assert await create_streams(nats_url, Env.SIM) == []
    assert await bus.last("dora.sim.ctl.halt.init") is not None


async def test_a_stream_with_other_settings_is_refused_and_left_alone(
    nats_url: str, connect: Connect
) -> None:
    await create_streams(nats_url, Env.SIM)
    bus = await connect(name="init")
    config = (await bus._stored.info("SIM_EXEC")).config
    await bus.request("$JS.API.STREAM.UPDATE.SIM_EXEC", json.dumps({**config, "discard": "old"}).encode())
    with pytest.raises(ConfigError, match="stream SIM_EXEC: expected discard 'new', was 'old'"):
        await create_streams(nats_url, Env.SIM)
    assert (await bus._stored.info("SIM_EXEC")).config["discard"] == "old"


async def test_what_the_streams_keep_survives_a_crash_of_the_server(
    nats_server: NatsServer, connect: Connect
) -> None:
    await create_streams(nats_server.url, Env.SIM)
    bus = await connect(url=nats_server.url, name="executor")
    ack = await bus.append("dora.sim.ctl.halt.operator", b"stop", msg_id="1")
    await bus.drain()
    nats_server.restart()
    again = await connect(url=nats_server.url, name="executor")
    newest = await again.last("dora.sim.ctl.halt.>")
    assert newest is not None
    assert (newest.sequence, newest.data) == (ack.sequence, b"stop")
    assert (await again.append("dora.sim.ctl.halt.operator", b"stop", msg_id="1")).is_duplicate


async def test_a_service_without_streams_is_told_who_makes_them(nats_url: str, connect: Connect) -> None:
    bus = await connect(name="executor")
    with pytest.raises(BusUnavailable):
        await bus.last("dora.sim.ctl.>")
    with pytest.raises(BusUnavailable):
        await bus.append("dora.sim.exec.epoch.main", b"", msg_id="1")
    with pytest.raises(BusUnavailable, match="dora init"):
        await bus.last_each("dora.sim.ctl.>")


async def test_a_server_that_syncs_late_is_refused() -> None:
    with own_server() as server:
        await assert_sync_always(server.monitoring_url)
    with own_server(sync='"2m"') as server, pytest.raises(ConfigError, match="sync_interval always"):
        await assert_sync_always(server.monitoring_url)
    with pytest.raises(BusUnavailable):
        await assert_sync_always(server.monitoring_url)
    with pytest.raises(ConfigError, match="nats_monitoring_url"):
        await assert_sync_always("file:///etc/passwd")
