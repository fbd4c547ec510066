"""The process around a service: everything that is the same for all of them.

Order of a life: configuration (exit 2 before anything is connected), logs with
STARTUP as the first line, bus, the server's promise to sync, the service's own
wiring, endpoints, own echo; then the work, in one task group, so that a dead
task is a dead service. SIGTERM and SIGINT stop in order: the app first, while
the bus still carries its words; then the bus; then exit 0.

Exit codes: 0 asked to stop, 2 configuration, 70 crash or lost bus, 75 fence lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import assert_sync_always
from libs.common.domain.ids import run_id
from libs.common.messages.base import encode
from libs.common.messages.health import BeatV1, StatusV1
from libs.common.observability.http import HttpFace
from libs.common.observability.metrics import Metrics
from libs.common.observability.tracing import set_up_tracing, shut_down_tracing
from libs.common.runtime.app import App, Runtime
from libs.common.runtime.clock import Clock, SystemClock
from libs.common.runtime.config import Common, Loaded, load, redacted
from libs.common.runtime.endpoints import shared_endpoints
from libs.common.runtime.errors import EXIT_CONFIG, EXIT_CRASH, ConfigError, EchoLost, ProcessEnd
from libs.common.runtime.garbage import collect_by_clock, settle
from libs.common.runtime.lag import LoopLag
from libs.common.runtime.log import Identity, bot_version, set_up_logging
from libs.common.runtime.memory import resident_mb
from libs.common.subjects import Subjects

__all__ = ["run_service"]

C = TypeVar("C", bound=msgspec.Struct)
Wire = Callable[[Runtime[C]], App | Awaitable[App]]

VERSION: Final = "0.1.0"
"""Of the distribution; `pyproject.toml` says the same."""
_WATCH_S: Final = 0.1


def run_service(name: str, kind: type[C], wire: Wire[C]) -> NoReturn:
    """Run a service until it is asked to stop or fails, and exit with the code that says which."""
    sys.exit(main(name, kind, wire, sys.argv[1:], os.environ))


def main(
    name: str, kind: type[C], wire: Wire[C], arguments: Sequence[str], environ: Mapping[str, str]
) -> int:
    """Do the same and return the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}")
    parser.add_argument(
        "--check-config", action="store_true", help="print the configuration and its hash, then exit"
    )
    options = parser.parse_args(arguments)
    try:
        loaded = load(kind, name, environ)
        common = _common(loaded.config)
        password = _read_secret("common.nats_password_file", common.nats_password_file)
        nkey_seed = _read_secret("common.nats_nkey_file", common.nats_nkey_file)
    except ConfigError as e:
        sys.stderr.write(f"{name}: {e}\n")
        return EXIT_CONFIG
    if options.check_config:
        shown = {"config": redacted(loaded.config), "hash": loaded.hash}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n")
        return 0
    process = _Process(name, loaded, environ)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(process.live(wire, password, nkey_seed))


def _common(config: msgspec.Struct) -> Common:
    common = getattr(config, "common", None)
    assert isinstance(common, Common), f"{type(config).__name__} has a field common: Common"
    return common


def _read_secret(field: str, path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{field}: expected a readable file, was: {type(e).__name__}") from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # no build for every platform: without it everything works, slower
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class _Stop(Exception):  # noqa: N818 - ends the task group, is no error
    """The process was asked to stop and the app has stopped."""


class _Process:
    """One life of one service."""

    def __init__(self, name: str, loaded: Loaded[Any], environ: Mapping[str, str]) -> None:
        self._name = name
        self._loaded = loaded
        self._environ = environ
        self._common = common = _common(loaded.config)
        self._clock: Clock = SystemClock()
        self._started_ns = self._clock.mono_ns()
        self._build = bot_version(environ)
        self._instance = common.instance or f"{socket.gethostname()}-{os.getpid()}"
        self._run = common.run_id or run_id(self._clock.now_ns(), secrets.token_hex(3))
        self._log = set_up_logging(
            Identity(name, common.env.value, self._build, self._run, self._instance), "INFO", environ
        )
        self._metrics = Metrics()
        self._lag = LoopLag(self._clock, self._metrics, self._log)
        self._subjects = Subjects(common.env)
        self._app: App | None = None
        self._bus: NatsBus | None = None
        self._http_port = 0
        self._was_ready: bool | None = None
        self._asked_to_stop = ""
        self._wake_stopper = asyncio.Event()
        self._main: asyncio.Task[Any] | None = None

    async def live(self, wire: Wire[Any], password: str, nkey_seed: str) -> int:
        """Run the whole life and return the exit code."""
        self._main = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        self._log.event(
            "STARTUP",
            f"{self._name} starts",
            config_hash=self._loaded.hash,
            account=self._common.account,
            pid=os.getpid(),
        )
        http = HttpFace(
            {"/metrics": self._page_metrics, "/healthz": self._page_health, "/readyz": self._page_ready}
        )
        code = EXIT_CRASH
        try:
            self._log.set_level(self._common.log_level)
            set_up_tracing(self._name, self._environ)
            self._http_port = await http.start(self._common.metrics_host, self._common.metrics_port)
            await self._connect(password, nkey_seed)
            await self._work(wire)
        except* _Stop:
            code = 0
        except* asyncio.CancelledError:
            code = 0 if self._asked_to_stop else EXIT_CRASH
        except* Exception as group:  # noqa: BLE001 - the process's outermost frame: logs once, ends
            code = self._report(group)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                if self._bus is not None:
                    await self._bus.drain()
                await http.stop()
            shut_down_tracing()
            reason = self._asked_to_stop or "failure"
            self._log.event("SHUTDOWN", reason=reason, graceful=code == 0, exit_code=code)
        return code

    async def _connect(self, password: str, nkey_seed: str) -> None:
        common = self._common
        self._bus = await NatsBus.connect(
            common.nats_url,
            name=self._name,
            env=common.env,
            user=common.nats_user,
            password=password,
            nkey_seed=nkey_seed,
            run=self._run,
            instance=self._instance,
            metrics=self._metrics,
            log=self._log,
            timeout_s=common.connect_s,
        )
        if common.nats_monitoring_url:
            await assert_sync_always(common.nats_monitoring_url)

    async def _work(self, wire: Wire[Any]) -> None:
        bus = self._bus
        assert bus is not None
        made = wire(self._runtime(bus))
        app = await made if isawaitable(made) else made
        self._app = app
        own = shared_endpoints(bus, self._log, self._status, self._shown_config())
        metadata = {
            "version": VERSION,
            "env": self._common.env.value,
            "account": self._common.account,
            "instance": self._instance,
            "run": self._run,
            "build": self._build,
            "config_hash": self._loaded.hash,
        }
        await bus.serve(self._name, {**own, **app.endpoints}, metadata)
        await bus.start_echo(self._subjects.of("health.beat", self._name, self._instance), self._beat)
        settle()  # what start-up made lives as long as the process
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bus.watch(), name="bus")
            tasks.create_task(self._lag.run(), name="lag")
            tasks.create_task(self._watch_echo(bus, app), name="echo")
            tasks.create_task(self._heartbeats(app), name="heartbeats")
            tasks.create_task(self._stop_when_asked(app), name="stop")
            tasks.create_task(self._run_app(app), name="app")
            tasks.create_task(collect_by_clock(), name="garbage")

    def _runtime(self, bus: NatsBus) -> Runtime[Any]:
        return Runtime(
            service=self._name,
            instance=self._instance,
            run=self._run,
            env=self._common.env,
            config=self._loaded.config,
            common=self._common,
            config_hash=self._loaded.hash,
            build=self._build,
            bus=bus,
            subjects=self._subjects,
            clock=self._clock,
            log=self._log,
            metrics=self._metrics,
        )

    @staticmethod
    async def _run_app(app: App) -> NoReturn:
        await app.run()
        raise AssertionError("App.run works until cancelled, was: it returned")

    # -- ending -----------------------------------------------------------------------

    def _on_signal(self, number: int) -> None:
        if self._asked_to_stop:  # asked twice: now
            os._exit(EXIT_CRASH)
        self._asked_to_stop = signal.Signals(number).name
        self._log.event("STOPPING", reason=self._asked_to_stop)
        self._wake_stopper.set()
        if self._app is None and self._main is not None:
            self._main.cancel()

    async def _stop_when_asked(self, app: App) -> NoReturn:
        await self._wake_stopper.wait()
        await self._stop_app(app, self._asked_to_stop)
        raise _Stop

    async def _stop_app(self, app: App, reason: str) -> None:
        try:
            async with asyncio.timeout(self._common.stop_grace_s):
                await app.stop(reason)
        except Exception as e:  # noqa: BLE001 - the stop's outermost frame: the process ends in any case
            self._log.error("the app did not stop in order", e, reason=reason)

    async def _watch_echo(self, bus: NatsBus, app: App) -> NoReturn:
        """End the process when its own words stop coming back, whatever the client believes."""
        begun_ns = self._clock.mono_ns()
        limit_ns = int(self._common.echo_exit_s * 1e9)
        while True:
            await asyncio.sleep(_WATCH_S)
            age_ns = min(bus.echo_age_ns, self._clock.mono_ns() - begun_ns)
            self._metrics.gauge("bus_echo_age_seconds", age_ns / 1e9)
            if age_ns > limit_ns and not self._asked_to_stop:
                self._log.event("ECHO_LOST", level="CRITICAL", age_ms=age_ns // 1_000_000)
                # The bus is deaf but the venue may be reachable: an executor cancels its orders here.
                await self._stop_app(app, "echo lost")
                raise EchoLost(
                    f"own heartbeat within {self._common.echo_exit_s} s, was {age_ns / 1e9:.1f} s old"
                )

    def _report(self, group: BaseExceptionGroup[Exception]) -> int:
        """Log the failure once, with its stack, and return the exit code it asks for."""
        causes = _leaves(group)
        ends = [cause for cause in causes if isinstance(cause, ProcessEnd)]
        worst = max(ends, key=lambda end: end.exit_code) if ends else causes[0]
        self._log.error("the service ends", worst, causes=len(causes))
        if isinstance(worst, ConfigError):
            return EXIT_CONFIG
        return worst.exit_code if isinstance(worst, ProcessEnd) else EXIT_CRASH

    # -- telling ------------------------------------------------------------------------

    async def _heartbeats(self, app: App) -> NoReturn:
        next_ns = self._clock.mono_ns()
        while True:
            status = app.status()
            if status.is_ready is not self._was_ready:
                self._was_ready = status.is_ready
                self._log.event(
                    "READY" if status.is_ready else "NOT_READY", state=status.state, reasons=status.reasons
                )
            if self._clock.mono_ns() >= next_ns:
                next_ns = self._clock.mono_ns() + int(self._common.heartbeat_log_s * 1e9)
                self._log.event(
                    "HEARTBEAT",
                    state=status.state,
                    is_ready=status.is_ready,
                    reasons=status.reasons,
                    counters=dict(status.counters),
                    gauges=dict(status.gauges),
                )
            await asyncio.sleep(0.5)

    def _beat(self, counter: int) -> bytes:
        return encode(
            BeatV1(
                service=self._name,
                instance=self._instance,
                run=self._run,
                counter=counter,
                is_ready=bool(self._was_ready),
                build=self._build,
                config_hash=self._loaded.hash,
                sent_ms=self._clock.now_ns() // 1_000_000,
                loop_lag_ms=self._lag.tell_worst_ns() // 1_000_000,
            )
        )

    def _status(self) -> StatusV1:
        assert self._app is not None
        bus = self._bus
        said = self._app.status()
        gauges = {
            **said.gauges,
            "metrics_port": float(self._http_port),
            "loop_lag_max_ms": self._lag.max_ns / 1e6,
            "echo_age_ms": min(bus.echo_age_ns, 1 << 53) / 1e6 if bus is not None else -1.0,
        }
        return StatusV1(
            service=self._name,
            instance=self._instance,
            run=self._run,
            env=self._common.env.value,
            version=self._build,
            account=self._common.account,
            config_hash=self._loaded.hash,
            uptime_s=(self._clock.mono_ns() - self._started_ns) // 1_000_000_000,
            is_ready=said.is_ready,
            state=said.state,
            reasons=said.reasons,
            counters=dict(said.counters),
            gauges=gauges,
            rss_mb=round(resident_mb(), 1),
        )

    def _shown_config(self) -> dict[str, Any]:
        return {"service": self._name, "hash": self._loaded.hash, "config": redacted(self._loaded.config)}

    def _page_metrics(self) -> tuple[int, str, bytes]:
        metrics = self._metrics
        metrics.gauge("build_info", 1, version=self._build, run=self._run, config_hash=self._loaded.hash)
        metrics.gauge("resident_memory_megabytes", resident_mb())
        if self._bus is not None:
            self._bus.sample()
        if self._app is not None:
            said = self._app.status()
            metrics.gauge("ready", float(said.is_ready))
            for name, count in said.counters.items():
                metrics.gauge("status_count", count, name=name)
            for name, value in said.gauges.items():
                metrics.gauge("status_gauge", value, name=name)
        return 200, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition()

    @staticmethod
    def _page_health() -> tuple[int, str, bytes]:
        return 200, "text/plain", b"ok\n"

    def _page_ready(self) -> tuple[int, str, bytes]:
        reasons: tuple[str, ...] = ("starting",)
        if self._app is not None and self._bus is not None:
            said = self._app.status()
            reasons = () if said.is_ready else (said.reasons or (said.state,))
            if not self._bus.is_connected:
                reasons = (*reasons, "bus_disconnected")
        body = "".join(f"{reason}\n" for reason in reasons) or "ok\n"
        return (503 if reasons else 200), "text/plain", body.encode()


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
