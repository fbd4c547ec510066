"""The process around a service, as processes on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from libs.common.bus.api import BusError, Message
from libs.common.bus.nats import NatsBus
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer, own_server

ROOT = Path(__file__).resolve().parents[2]


class Tiny:
    """A running process of the tiny service."""

    def __init__(self, url: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.tiny_service"],
            cwd=ROOT,
            env=environment(url) | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._out = b""

    async def status(self, bus: NatsBus) -> dict[str, Any]:
        answer = await bus.request("dora.sim.svc.tiny.status", b"", timeout_s=1)
        found: dict[str, Any] = json.loads(answer.data)
        return found

    async def ready(self, bus: NatsBus) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def answers() -> bool:
            assert self.process.poll() is None, self.finish()
            try:
                found.update(await self.status(bus))
            except BusError:
                return False
            return bool(found["is_ready"])

        await eventually(answers, 20)
        return found

    def finish(self, timeout_s: float = 20) -> tuple[int, list[dict[str, Any]], str]:
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()

    async def ended(self) -> tuple[int, list[dict[str, Any]], str]:
        return await asyncio.to_thread(self.finish)


def environment(url: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "NATS_URL": url,
        "DORA_INSTANCE": "t1",
        "DORA_RUN_ID": "20261121-101112-abc",
        "DORA__LIMITS__EXPOSURE_E6_MAX": "0",
        "BOT_VERSION": "v-test",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def started() -> Iterator[list[Tiny]]:
    processes: list[Tiny] = []
    yield processes
    for tiny in processes:
        if tiny.process.poll() is None:
            tiny.process.kill()
        tiny.process.communicate()


@pytest.fixture
async def bus(nats_url: str, connect: Connect) -> NatsBus:
    return await connect(name="operator")


async def test_a_service_starts_serves_and_stops_in_order(
    nats_url: str, bus: NatsBus, started: list[Tiny]
) -> None:
    farewells: list[bytes] = []
    beats: list[dict[str, Any]] = []

    async def note(message: Message) -> None:
        farewells.append(message.data)

    async def note_beat(message: Message) -> None:
        beats.append(json.loads(message.data))

    await bus.each("dora.sim.md.whale.*", note)
    await bus.each("dora.sim.health.beat.tiny.t1", note_beat)
    tiny = Tiny(nats_url, DORA__COMMON__HEARTBEAT_LOG_S="0.5")
    started.append(tiny)
    status = await tiny.ready(bus)
    assert status["service"] == "tiny"
    assert (status["run"], status["instance"], status["version"]) == ("20261121-101112-abc", "t1", "v-test")
    assert (status["counters"], status["gauges"]["half"], status["env"]) == ({"heard": 0}, 0.5, "sim")
    assert status["rss_mb"] > 5

    await bus.publish("dora.sim.md.trade.A", b"hello")

    async def heard() -> bool:
        return bool((await tiny.status(bus))["counters"] == {"heard": 1})

    await eventually(heard)
    await eventually(lambda: len(beats) >= 3)
    assert all(beat["build"] == "v-test" and beat["config_hash"] for beat in beats)
    assert all(abs(beat["sent_ms"] - time.time_ns() // 1_000_000) < 20_000 for beat in beats)
    assert all(0 <= beat["loop_lag_ms"] < 20_000 for beat in beats)
    assert (await tiny.status(bus))["gauges"]["echo_age_ms"] < 1_500
    port = int(status["gauges"]["metrics_port"])
    assert "dora_status_count" in await page(port, "/metrics")
    assert 'name="heard"} 1.0' in await page(port, "/metrics")
    assert await page(port, "/healthz") == "ok\n"
    assert await page(port, "/readyz") == "ok\n"
    with pytest.raises(urllib.error.HTTPError):
        await page(port, "/nothing")

    config = json.loads((await bus.request("dora.sim.svc.tiny.config", b"")).data)
    assert config["config"]["limits"] == {"exposure_e6_max": 0}
    assert config["hash"] == status["config_hash"]
    level = json.loads((await bus.request("dora.sim.svc.tiny.log_level", b'{"level":"debug"}')).data)
    assert level == {"level": "DEBUG"}
    level = json.loads((await bus.request("dora.sim.svc.tiny.log_level", b"LOUD")).data)
    assert level["level"] == "DEBUG"
    assert "LOUD" in level["error"]
    failed = await bus.request("dora.sim.svc.tiny.boom", b"x")
    assert "secret" not in str(failed)
    ping = json.loads((await bus.request("$SRV.INFO.dora-tiny", b"")).data)
    assert ping["metadata"]["config_hash"] == status["config_hash"]
    assert {endpoint["name"] for endpoint in ping["endpoints"]} == {"status", "config", "log_level", "boom"}

    tiny.process.send_signal(signal.SIGTERM)
    code, lines, errors = await tiny.ended()
    assert (code, errors) == (0, "")
    assert lines[0]["event_type"] == "STARTUP"
    assert lines[-1]["event_type"] == "SHUTDOWN"
    assert (lines[-1]["reason"], lines[-1]["graceful"]) == ("SIGTERM", True)
    kinds = {line["event_type"] for line in lines}
    assert {"READY", "HEARTBEAT", "ENDPOINT_FAILED", "STOPPING", "LOG_LEVEL"} <= kinds
    assert {line["bot_run_id"] for line in lines} == {"20261121-101112-abc"}
    assert farewells == [b"SIGTERM"]


async def page(port: int, path: str) -> str:
    def fetch() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            text: str = answer.read().decode()
            return text

    return await asyncio.to_thread(fetch)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("handler fails", (70, "HandlerFailed")),
        ("return", (70, "AssertionError")),
        ("fence", (75, "FenceLost")),
    ],
)
async def test_a_service_that_fails_logs_once_with_its_stack_and_says_why_by_its_exit_code(
    nats_url: str, bus: NatsBus, started: list[Tiny], word: str, expected: tuple[int, str]
) -> None:
    tiny = Tiny(nats_url)
    started.append(tiny)
    await tiny.ready(bus)
    await bus.publish("dora.sim.md.trade.A", word.encode())
    code, lines, _ = await tiny.ended()
    errors = [line for line in lines if line["event_type"] == "ERROR"]
    assert (code, *(line["error_type"] for line in errors)) == expected
    assert "Traceback" in errors[0]["stack"]
    assert lines[-1]["event_type"] == "SHUTDOWN"
    assert lines[-1]["graceful"] is False


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"DORA__LIMITS__EXPOSURE_E6_MAX": "lots"}, "limits.exposure_e6_max: expected int, was 'lots'"),
        ({"DORA__LIMITS__EXPOSURE": "1"}, "limits.exposure: unknown field"),
        ({"DORA_ENV": "prod"}, "common.env"),
        (
            {"DORA__COMMON__NATS_PASSWORD_FILE": "/no/such/file"},
            "common.nats_password_file: expected a readable file",
        ),
    ],
)
def test_a_wrong_value_ends_the_process_with_two_before_it_connects(
    environ: Mapping[str, str], text: str
) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.tiny_service"],
        cwd=ROOT,
        env=environment("nats://127.0.0.1:1") | dict(environ),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 2
    assert text in result.stderr
    assert result.stdout == ""


def test_check_config_prints_the_redacted_configuration_and_its_hash_and_connects_nowhere() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.tiny_service", "--check-config"],
        cwd=ROOT,
        env=environment("nats://me:hush@127.0.0.1:1") | {"DORA_VENUE_KEY_FILE": "/keys/private.pem"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0
    shown = json.loads(result.stdout)
    assert len(shown["hash"]) == 12
    assert shown["config"]["limits"] == {"exposure_e6_max": 0}
    assert "hush" not in result.stdout
    assert "private.pem" not in result.stdout


async def test_a_process_whose_broker_freezes_ends_by_itself(started: list[Tiny]) -> None:
    """Nothing disconnects, so only the missing echo tells; the app is stopped in order first."""
    with own_server() as server:
        bus = await NatsBus.connect(server.url, name="operator")
        tiny = Tiny(server.url, DORA__COMMON__ECHO_EXIT_S="1.5")
        started.append(tiny)
        await tiny.ready(bus)
        await bus.drain()
        server.freeze()
        frozen_at = time.monotonic()
        code, lines, _ = await tiny.ended()
        assert code == 70
        assert time.monotonic() - frozen_at < 8
        kinds = [line["event_type"] for line in lines]
        assert "ECHO_LOST" in kinds
        assert kinds[-1] == "SHUTDOWN"
        server.thaw()


async def test_a_server_that_does_not_sync_every_write_is_refused(started: list[Tiny]) -> None:
    with own_server(sync='"2m"') as server:
        tiny = Tiny(server.url, NATS_MONITORING_URL=server.monitoring_url)
        started.append(tiny)
        code, lines, _ = await tiny.ended()
    assert code == 2
    errors = [line["error_msg"] for line in lines if line["event_type"] == "ERROR"]
    assert any("sync_interval always" in text for text in errors)


async def test_a_synced_server_is_accepted_and_a_process_without_bus_is_ended(
    nats_server: NatsServer, started: list[Tiny]
) -> None:
    bus = await NatsBus.connect(nats_server.url, name="operator")
    settings = {"NATS_MONITORING_URL": nats_server.monitoring_url, "DORA__COMMON__ECHO_EXIT_S": "1"}
    tiny = Tiny(nats_server.url, **settings)
    started.append(tiny)
    await tiny.ready(bus)
    await bus.drain()
    nats_server.kill()
    code, lines, errors = await tiny.ended()
    assert not errors, errors
    assert code == 70
    assert any(line["event_type"] == "BUS_DISCONNECTED" for line in lines)


async def test_a_process_that_is_asked_to_stop_while_it_still_connects_stops(started: list[Tiny]) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        tiny = Tiny(f"nats://127.0.0.1:{deaf.getsockname()[1]}")
        started.append(tiny)
        assert tiny.process.stdout is not None
        first = json.loads(await asyncio.to_thread(tiny.process.stdout.readline))
        assert first["event_type"] == "STARTUP"
        tiny.process.send_signal(signal.SIGINT)
        code, lines, errors = await tiny.ended()
    assert not errors, errors
    assert code == 0
    assert lines[-1]["reason"] == "SIGINT"


async def test_a_process_without_a_server_ends_and_says_which_server(started: list[Tiny]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"nats://127.0.0.1:{closed.getsockname()[1]}"
    tiny = Tiny(url, DORA__COMMON__CONNECT_S="0.5")
    started.append(tiny)
    code, lines, _ = await tiny.ended()
    assert code == 70
    assert any(url in line.get("error_msg", "") for line in lines)
