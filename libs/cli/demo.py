"""`dora demo`: a fresh world, a look at it while it trades, an orderly end, and the audit.

The end goes in order: the gate closes, nothing rests (cancelled and verified at
the exchange), the strategy ends, the last fills and settlements are in, the
other services end; only then is our journal compared with the exchange's own
account.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.live import Live

from libs.cli import display, evidence, operate, venue_admin
from libs.cli.audit import Verdict, compare
from libs.cli.places import SERVICES, var_root
from libs.cli.preflight import records
from libs.cli.signals import stop_event
from libs.cli.summary import HaltLine, Latency, MarketLine, Summary
from libs.cli.supervisor import Supervisor
from libs.cli.watch import Watcher
from libs.cli.world import Wish, World
from libs.common.bus.api import Bus, BusError
from libs.common.bus.layout import INIT_HALT_SOURCE
from libs.common.kalshi.rest import VenueReader
from libs.common.messages.base import MalformedMessage
from libs.common.runtime.errors import VenueError
from libs.common.runtime.log import bot_version
from libs.common.subjects import Subjects

POLL_S: Final = 1.0
RUNNING_S: Final = 60.0
EMPTY_S: Final = 20.0
EVIDENCE_S: Final = 20.0
SLOW_FACTOR_MAX: Final = 3.0
"""A tape that the machine slows down plays on, but never longer than this times the asked duration."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the simulated venue is."""

    effective_speed: float = 1.0
    tape_s: float | None = None
    is_over: bool = False

    @classmethod
    def of(cls, answer: dict[str, Any] | None) -> Progress:
        """Read ``/sim/progress``; the slowest source counts."""
        sources = [source for source in (answer or {}).get("sources", ()) if isinstance(source, dict)]
        if not sources:
            return cls()
        tapes = [source["tape_ms"] / 1000 for source in sources if "tape_ms" in source]
        return cls(
            effective_speed=min(float(source.get("effective_speed", 1.0)) for source in sources),
            tape_s=min(tapes) if tapes else None,
            is_over=all(bool(source.get("is_over")) for source in sources),
        )


def is_done(
    progress: Progress, elapsed_s: float, duration_s: float | None, speed: float, *, is_tape: bool
) -> bool:
    """Return whether the demo has played what was asked."""
    if is_tape and progress.is_over:
        return True
    if duration_s is None:
        return False
    if not is_tape or progress.tape_s is None:
        return elapsed_s >= duration_s
    if elapsed_s >= duration_s * SLOW_FACTOR_MAX:
        return True
    # All tapes start together, so seconds of tape are those of every market.
    return elapsed_s >= duration_s and progress.tape_s >= duration_s * speed * 0.999


class Demo:
    """One demo from start to audit."""

    def __init__(self, wish: Wish, duration_s: float | None, out: Path, console: Console) -> None:
        self._wish = wish
        self._duration_s = duration_s
        self._out = out
        self._console = console
        self._subjects = Subjects(wish.env)
        self._lines: list[str] = []

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    async def run(self) -> int:
        """Trade until the time is over or a signal comes; return the exit code."""
        with stop_event() as stop:
            async with Supervisor(self._say) as supervisor:
                world = World(self._wish, supervisor, self._say)
                supervisor.on_change = world.tell
                try:
                    return await self._trade(world, stop)
                finally:
                    await supervisor.stop_all()
                    world.untell()

    async def _trade(self, world: World, stop: asyncio.Event) -> int:
        await unless(stop, world.start())
        if stop.is_set():
            return 0
        venue = world.account_key()
        async with (
            operate.operator_bus(world.run) as bus,
            evidence.account_reader(venue.rest_url, venue.key_id, venue.key_file) as reader,
        ):
            balance_at_start_e6 = await evidence.read_balance(reader)
            watcher = Watcher(bus, self._subjects, SERVICES)
            await watcher.start()
            began_s = time.monotonic()
            await unless(stop, self._leave_birth_halt(bus, watcher))
            progress = await self._watch(world, watcher, stop, began_s)
            duration_s = time.monotonic() - began_s
            gate = await self._end(world, bus, watcher)
            verdict = await self._audit(bus, reader, balance_at_start_e6)
            summary = _summary(watcher, verdict, progress, duration_s, gate)
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._out.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
        return self._judge(summary)

    async def _leave_birth_halt(self, bus: Bus, watcher: Watcher) -> None:
        """Resume if being born is the only halt, and wait until the gate is open."""
        await leave_birth_halt(bus, self._subjects, "dora demo", self._say)
        deadline_s = time.monotonic() + RUNNING_S
        while time.monotonic() < deadline_s:
            await watcher.poll()
            status = watcher.view.tally.newest("executor")
            if status is not None and status.state == "running":
                return
            await asyncio.sleep(0.2)
        self._say("the gate is not open yet; going on to watch")

    async def _watch(self, world: World, watcher: Watcher, stop: asyncio.Event, began_s: float) -> Progress:
        is_tape = self._wish.tape is not None
        progress = Progress()
        async with self._shown(watcher, began_s) as show:
            while not stop.is_set():
                await watcher.poll()
                progress = Progress.of(await venue_admin.ask(world.account_key().rest_url, "progress"))
                show()
                elapsed_s = time.monotonic() - began_s
                if is_done(progress, elapsed_s, self._duration_s, self._wish.speed, is_tape=is_tape):
                    break
                if world.supervisor.is_down("simexchange") and self._wish.venue is None:
                    self._say("the simulated venue is gone; ending")
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), POLL_S)
        return progress

    @contextlib.asynccontextmanager
    async def _shown(self, watcher: Watcher, began_s: float) -> AsyncIterator[Callable[[], None]]:
        """Yield what shows the view once: a live table on a terminal, a line otherwise."""
        title = f"Dora, {self._wish.env.value}"
        if not self._console.is_terminal:
            yield lambda: self._say(display.line(watcher.view, time.monotonic() - began_s))
            return
        with Live(console=self._console, refresh_per_second=4, transient=False) as live:
            yield lambda: live.update(display.table(watcher.view, time.monotonic() - began_s, title))

    async def _end(self, world: World, bus: Bus, watcher: Watcher) -> str:
        """End in order and return the gate's word from before."""
        await watcher.poll()
        gate, _ = display.gate(watcher.view)
        self._say("ending: gate closed, orders cancelled and verified, evidence in")
        # The gate first: quotes that outlive their strategy by a few seconds are a gift to the informed.
        with contextlib.suppress(BusError):
            await bus.request(self._subjects.of("svc", "executor", "drain"), b"{}", timeout_s=5.0)
        await world.supervisor.stop("strategy")
        tally = watcher.view.tally

        def nothing_rests() -> bool:
            return (
                tally.gauge("executor", "resting_orders") == 0
                and tally.gauge("executor", "unknown_open") == 0
            )

        def nothing_differs() -> bool:
            figures = ("position_residual_e2", "cash_residual_e6")
            return nothing_rests() and all(not tally.gauge("executor", name) for name in figures)

        if not await self._until(watcher, nothing_rests, EMPTY_S):
            self._say("orders still rest or are unknown; the executor's own end will deal with them")
        await self._until(watcher, nothing_differs, EVIDENCE_S)
        await watcher.read_halts()
        for service in ("executor", "riskguard", "reconciler", "marketdata"):
            await world.supervisor.stop(service)
        return gate

    async def _until(self, watcher: Watcher, condition: Callable[[], bool], timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while True:
            await watcher.poll()
            if condition():
                return True
            if time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(0.25)

    async def _audit(self, bus: Bus, reader: VenueReader, balance_at_start_e6: int) -> Verdict | None:
        """Compare journal and account until they agree or patience ends: reads lag writes."""
        deadline_s = time.monotonic() + EVIDENCE_S
        verdict: Verdict | None = None
        while True:
            try:
                journal = await evidence.read_journal(bus, self._subjects)
                verdict = compare(journal, await evidence.read_account(reader), balance_at_start_e6)
            except (BusError, VenueError, MalformedMessage) as e:
                self._say(f"the audit could not be read: {e}")
            if verdict is not None and verdict.is_clean:
                return verdict
            if time.monotonic() > deadline_s:
                return verdict
            await asyncio.sleep(1.0)

    def _judge(self, summary: Summary) -> int:
        self._say(
            f"{summary.duration_s:.0f} s, {len(summary.markets)} markets, {summary.decisions} decisions,"
            f" {summary.orders_created} orders, {summary.fills} fills,"
            f" P&L ${display.dollars(summary.pnl_e6)}, fees ${summary.fees_e6 / 1e6:.4f},"
            f" residuals {summary.position_residual_e2} and {summary.cash_residual_e6}"
        )
        self._say(f"summary: {self._out}")
        failures = summary.failures()
        if summary.duration_s >= records.SOAK_S:
            keep_soak(summary, failures)
        for failure in failures:
            self._say(f"FAILED: {failure}")
        return 1 if failures else 0


def keep_soak(summary: Summary, failures: Sequence[str]) -> None:
    """Put a session of two days on record for `dora preflight`, whatever came of it."""
    records.write(
        var_root(),
        records.Record(
            what="soak",
            build=bot_version(os.environ),
            at_ms=time.time_ns() // 1_000_000,
            is_passed=not failures,
            evidence=f"{summary.duration_s / 3_600:.1f} h, {summary.fills} fills"
            + "".join(f"; {failure}" for failure in failures),
        ),
    )


async def leave_birth_halt(bus: Bus, subjects: Subjects, reason: str, say: Callable[[str], None]) -> bool:
    """Resume in two steps if being born is the only halt there ever was; return whether it was lifted.

    Only `sim` does this: nothing of value can be lost there.
    """
    sources = {
        subjects.keys_of("ctl.halt", message.subject)[0]
        for message in await bus.last_each(subjects.all_of("ctl.halt"))
    }
    if sources != {INIT_HALT_SOURCE}:
        return False
    deadline_s = time.monotonic() + RUNNING_S
    while True:
        try:
            offer = await operate.offer_resume(bus, subjects, reason, "dora")
            await operate.confirm_resume(bus, subjects, offer, reason, "dora")
        except (operate.OperationRefused, BusError) as e:
            if time.monotonic() > deadline_s:
                say(f"still halted: {e}")
                return False
            await asyncio.sleep(0.5)
        else:
            return True


async def unless(stop: asyncio.Event, work: Any) -> None:
    """Do the work unless a stop comes first; then it is cancelled."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return
    await task


def _summary(
    watcher: Watcher, verdict: Verdict | None, progress: Progress, duration_s: float, gate: str
) -> Summary:
    view, tally = watcher.view, watcher.view.tally
    unknown = tally.gauge("executor", "unknown_open")
    halts: list[HaltLine] = [view.halts[sequence] for sequence in sorted(view.halts)]
    return Summary(
        duration_s=round(duration_s, 1),
        effective_speed=progress.effective_speed,
        markets=_market_lines(watcher, verdict),
        md_messages=tally.total("marketdata", "md_messages"),
        books_published=tally.total("marketdata", "books_published"),
        decisions=tally.total("strategy", "decisions"),
        targets=tally.total("strategy", "targets"),
        orders_created=tally.total("executor", "orders_created"),
        orders_amended=tally.total("executor", "orders_amended"),
        orders_decreased=tally.total("executor", "orders_decreased"),
        orders_cancelled=tally.total("executor", "orders_cancelled"),
        http_calls=tally.total("executor", "http_calls"),
        fills=verdict.ledger.fill_count if verdict else sum(view.fills.values()),
        fees_e6=verdict.ledger.fees_e6 if verdict else int(tally.gauge("executor", "fees_e6") or 0),
        pnl_e6=int(tally.gauge("executor", "pnl_e6") or 0),
        orphans=max(verdict.orphans, tally.total("executor", "orphans")) if verdict else None,
        duplicates=max(verdict.duplicates, tally.total("executor", "duplicates")) if verdict else None,
        unknown_open=None if unknown is None else int(unknown),
        position_residual_e2=verdict.position_residual_e2 if verdict else None,
        cash_residual_e6=verdict.cash_residual_e6 if verdict else None,
        halts=halts,
        gate_state_at_end=gate,
        tick_to_order_us=Latency(
            p50=tally.gauge("executor", "tick_to_order_us_p50"),
            p99=tally.gauge("executor", "tick_to_order_us_p99"),
        ),
        rss_mb=tally.rss_mb,
    )


def _market_lines(watcher: Watcher, verdict: Verdict | None) -> list[MarketLine]:
    view = watcher.view
    lines = []
    for market in view.all_markets:
        told = view.markets.get(market)
        position = verdict.ledger.positions.get(market) if verdict else None
        lines.append(
            MarketLine(
                market=market,
                state=told.state.value if told else "unknown",
                result=told.result if told else "",
                fills=view.fills.get(market, 0),
                traded_e2=view.traded_e2.get(market, 0),
                position_e2=position.qty_e2 if position else 0,
                realised_e6=position.realised_e6 if position else 0,
                fees_e6=position.fees_e6 if position else 0,
            )
        )
    return lines


def main(wish: Wish, duration_s: float | None, out: Path) -> int:
    """Run a demo and return its exit code."""
    console = Console(file=sys.stdout)
    return asyncio.run(Demo(wish, duration_s, out, console).run())
