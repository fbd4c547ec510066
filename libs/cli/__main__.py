"""The `dora` command: start a world, look at it, stop it.

Exit codes: 0 done, 1 done and found wanting, 2 refused or wrongly asked.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from libs.cli import (
    control_app,
    direct,
    open_orders,
    operate,
    reconcile,
    runfile,
    table_sources,
    tables,
    trace_view,
)
from libs.cli import demo as demo_command
from libs.cli import orphans as orphans_command
from libs.cli import trace as trace_command
from libs.cli import up as up_command
from libs.cli.places import ROOT, SERVICES, Places, var_root
from libs.cli.preflight import app as preflight_app
from libs.cli.servers import ServerMissing
from libs.cli.signals import own_foreground
from libs.cli.supervisor import StartFailed
from libs.cli.world import OtherVenue, Wish, clean_env, venue_env
from libs.common.bus.api import BusError
from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from libs.common.domain.units import MalformedNumber, parse_price_e4, parse_qty_e2
from libs.common.env import Env
from libs.common.messages.control import GateState
from libs.common.messages.execution import Purpose
from libs.common.messages.health import StatusV1
from libs.common.messages.orders import FlattenAskV1, PlaceAskV1
from libs.common.messages.risk import OrphanAskV1
from libs.common.runtime.errors import ConfigError, VenueError
from libs.common.subjects import Subjects

app = typer.Typer(
    name="dora",
    help="A market maker for Kalshi's event contracts: start it, look at it, stop it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

state_app = typer.Typer(help="What is kept of the present state.", no_args_is_help=True)
app.add_typer(state_app, name="state")

order_app = typer.Typer(
    name="order", help="Place single orders by hand and see what became of them.", no_args_is_help=True
)
app.add_typer(order_app)

orphans_app = typer.Typer(
    name="orphans", help="What the venue has and the executor does not know.", invoke_without_command=True
)
app.add_typer(orphans_app)
app.add_typer(preflight_app.app)
app.add_typer(control_app.app)

REFUSED = 2
_SET_BY_UP = {
    "DORA_VENUE_REST_URL": "http://127.0.0.1/trade-api/v2",
    "DORA_VENUE_WS_URL": "ws://127.0.0.1/trade-api/ws/v2",
    "DORA_VENUE_KEY_ID": "set-by-dora-up",
    "DORA_VENUE_KEY_FILE": "set-by-dora-up.pem",
}
"""Stand in for what `dora up` tells the services, so that the rest of a configuration can be checked."""
_EnvOption = Annotated[Env, typer.Option("--env", help="sim, paper, demo or live", envvar="DORA_ENV")]
_Tape = Annotated[
    Path | None, typer.Option("--tape", help="a recording, a market's folder, or a folder of them")
]
_Speed = Annotated[float, typer.Option("--speed", min=0.01, help="recorded seconds a second")]
_Seed = Annotated[int | None, typer.Option("--seed", help="seed of the synthetic flow")]

_Json = Annotated[bool, typer.Option("--json", help="for programs")]

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config", exists=True, file_okay=False, resolve_path=True, help="folder with <service>.toml files"
    ),
]


def _fail(text: object, code: int = REFUSED) -> NoReturn:
    typer.echo(f"dora: {text}", err=True)
    raise typer.Exit(code)


def _existing(tape: Path | None) -> Path | None:
    if tape is None:
        return None
    if not tape.exists():
        _fail(f"--tape: expected a recording or a folder of recordings, {str(tape)!r} is not there")
    return tape.absolute()


def _venue(env: Env, rest: str, ws: str, key_id: str, key_file: str) -> OtherVenue | None:
    """Return the venue named by options or environment, or None if none is."""
    prefix = {Env.DEMO: "DEMO", Env.LIVE: "PROD"}.get(env, "")
    if prefix:
        key_id = key_id or os.environ.get(f"{prefix}_KEYID", "")
        key_file = key_file or os.environ.get(f"{prefix}_KEYFILE", "")
    if not rest and not ws:
        return None
    named = {
        "--venue-rest": rest,
        "--venue-ws": ws,
        "--venue-key-id": key_id,
        "--venue-key-file": key_file,
    }
    missing = [name for name, value in named.items() if not value]
    if missing:
        _fail(f"a venue needs all four of {', '.join(named)}; missing: {', '.join(missing)}")
    return OtherVenue(rest, ws, key_id, Path(key_file).absolute())


@app.command()
def up(  # noqa: PLR0917 - typer makes each an option
    env: _EnvOption = Env.SIM,
    venue_rest: Annotated[str, typer.Option(envvar="DORA_VENUE_REST_URL", help="another venue's REST")] = "",
    venue_ws: Annotated[str, typer.Option(envvar="DORA_VENUE_WS_URL", help="its WebSocket")] = "",
    venue_key_id: Annotated[str, typer.Option(envvar="DORA_VENUE_KEY_ID", help="our key there")] = "",
    venue_key_file: Annotated[str, typer.Option(envvar="DORA_VENUE_KEY_FILE", help="its private PEM")] = "",
    tape: _Tape = None,
    speed: _Speed = 1.0,
    seed: _Seed = None,
    port: Annotated[int, typer.Option(min=0, max=65_000, help="first of consecutive ports; 0: any free")] = 0,
    config: _Config = None,
    confirm: Annotated[str, typer.Option(help="the account's name; live asks for it")] = "",
) -> None:
    """Start NATS, Valkey, the simulated venue and all services, and keep them alive."""
    wish = Wish(
        env=env,
        name=env.value,
        venue=_venue(env, venue_rest, venue_ws, venue_key_id, venue_key_file),
        tape=_existing(tape),
        speed=speed,
        seed=seed,
        port=port,
        config=config,
        confirmed=confirm,
    )
    _run(lambda: up_command.main(wish))


@app.command()
def demo(
    duration: Annotated[float | None, typer.Option(min=1, help="seconds; without it until Ctrl-C")] = None,
    tape: _Tape = None,
    speed: _Speed = 1.0,
    seed: _Seed = None,
    config: _Config = None,
) -> None:
    """Trade in a fresh simulated venue, show it, end in order, audit against the venue's own account."""
    wish = Wish(
        env=Env.SIM, name="demo", is_fresh=True, tape=_existing(tape), speed=speed, seed=seed, config=config
    )

    def run() -> int:
        up_command.refuse(wish)
        return demo_command.main(wish, duration, var_root() / "demo" / "summary.json")

    _run(run)


def _run(work: Callable[[], int]) -> None:
    try:
        with own_foreground():
            code = work()
    except (up_command.Refused, ServerMissing) as e:
        _fail(e)
    except (StartFailed, BusError, VenueError, ConfigError) as e:
        _fail(e, 1)
    raise typer.Exit(code)


@app.command()
def sim(
    port: Annotated[int, typer.Option(min=0, max=65_000, help="REST; WebSocket next to it; 0: any")] = 0,
    tape: _Tape = None,
    speed: _Speed = 1.0,
    seed: _Seed = None,
) -> None:
    """Run the simulated venue alone; writes var/sim/venue.json when it is ready."""
    wish = Wish(env=Env.SIM, name="sim", tape=_existing(tape), speed=speed, seed=seed)
    file = var_root() / "sim" / "venue.json"
    file.unlink(missing_ok=True)
    told = venue_env(
        wish,
        rest_port=port,
        ws_port=port + 1 if port else 0,
        metrics_port=0,
        venue_file=file,
    )
    typer.echo(f"the venue's addresses and keys will be in {file}")
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(sys.executable, (sys.executable, "-m", "services.simexchange"), told)  # noqa: S606 - no shell


@app.command()
def init(
    env: _EnvOption = Env.SIM,
    nats_url: Annotated[str, typer.Option(envvar="NATS_URL", help="the NATS server")] = "",
    user: Annotated[str, typer.Option(envvar="NATS_USER", help="identity that may make streams")] = "",
    password_file: Annotated[str, typer.Option(envvar="NATS_PASSWORD_FILE", help="its password")] = "",
    replicas: Annotated[int, typer.Option(min=1, max=5, help="copies of each stream")] = 1,
) -> None:
    """Make the streams and buckets of an environment; what is there and right stays."""
    if not nats_url:
        run = _run_file(env)
        nats_url, user, password_file = run.nats_url, "init", run.credentials["init"]
    try:
        password = Path(password_file).read_text(encoding="utf-8").strip() if password_file else ""
        made = asyncio.run(create_streams(nats_url, env, replicas, user=user, password=password))
    except (BusError, ConfigError, OSError) as e:
        _fail(e, 1)
    typer.echo(f"made {', '.join(made)}" if made else "everything was there")


@app.command()
def status(env: _EnvOption = Env.SIM) -> None:
    """Show what every service says of itself; exit 1 if one is silent."""

    async def work(bus: NatsBus, subjects: Subjects) -> dict[str, StatusV1 | str]:
        return await operate.statuses(bus, subjects)

    found = _with_bus(env, work)
    table = Table(header_style="bold")
    for name in ("service", "state", "ready", "up", "memory", "why not"):
        table.add_column(name)
    for service, said in found.items():
        if isinstance(said, str):
            table.add_row(service, "silent", "no", "", "", said)
        else:
            table.add_row(
                service,
                said.state,
                "yes" if said.is_ready else "no",
                f"{said.uptime_s} s",
                f"{said.rss_mb:.0f} MB",
                ", ".join(said.reasons),
            )
    Console().print(table)
    if any(isinstance(said, str) for said in found.values()):
        raise typer.Exit(1)


@app.command()
def halt(
    reason: Annotated[str, typer.Argument(help="why, for the record")] = "no reason given",
    env: _EnvOption = Env.SIM,
    scope: Annotated[
        str, typer.Option(help="what it reaches: account, shard:2, series:…, event:…, market:…, strategy:…")
    ] = "account",
    level: Annotated[
        operate.HaltLevel, typer.Option(help="reduce_only leaves what only makes a position smaller")
    ] = operate.HaltLevel.HALTED,
) -> None:
    """Stop trading now: close the gate, cancel what it reaches, verify. Only `dora resume` lifts it."""
    try:
        reach = operate.reach_of(scope)
    except ValueError as e:
        _fail(f"--scope: {e}", 2)

    async def work(bus: NatsBus, subjects: Subjects) -> None:
        sequence = await operate.halt(
            bus, subjects, reason, _who(), reach=reach, level=GateState(level.value)
        )
        typer.echo(f"halted: stored in CONTROL as {sequence}")
        deadline_s = time.monotonic() + 20.0
        while time.monotonic() < deadline_s:
            await asyncio.sleep(0.2)
            said = (await operate.statuses(bus, subjects))["executor"]
            if isinstance(said, StatusV1) and operate.is_halt_verified(said):
                typer.echo(f"the executor's gate is closed for {scope} and nothing rests that it reaches")
                if said.gauges.get("halts_astray"):
                    typer.echo(
                        "but a halt reaches nothing that the executor knows: is its key right?", err=True
                    )
                    raise typer.Exit(1)
                return
        typer.echo("the executor did not verify an empty book yet; look at `dora status`", err=True)
        raise typer.Exit(1)

    _with_bus(env, work)


@app.command()
def orders(
    env: _EnvOption = Env.SIM,
    market: Annotated[str, typer.Option(help="only this market")] = "",
    state: Annotated[str, typer.Option(help="only this state: resting, partly_filled, unknown …")] = "",
    *,
    as_json: _Json = False,
) -> None:
    """Show the executor's open orders."""
    shown = _with_bus(env, lambda bus, subjects: open_orders.ask(bus, subjects, market=market, state=state))
    if as_json:
        typer.echo(_json(shown))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(open_orders.table(shown))


@state_app.command("open-orders")
def state_open_orders(env: _EnvOption = Env.SIM) -> None:
    """Print the open orders for programs, as `dora orders --json` does."""
    orders(env, as_json=True)


@app.command()
def trace(
    asked: Annotated[
        str, typer.Argument(metavar="ORDER|DECISION", help="our order id, the venue's, or a decision id")
    ],
    env: _EnvOption = Env.SIM,
    *,
    as_json: _Json = False,
) -> None:
    """Tell what happened to an order or a decision, from the book to the last fill; exit 1 if nothing did."""
    told = _with_bus(env, lambda bus, subjects: trace_command.trace(bus, subjects, asked))
    typer.echo(_json(told) if as_json else "\n".join(trace_view.lines(told)))
    if not told.steps:
        _fail(f"no record of {asked!r} in {env.value}", 1)


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


@app.command("reconcile")
def reconcile_now(env: _EnvOption = Env.SIM, *, as_json: _Json = False) -> None:
    """Compare executor, private feed and listings now; exit 1 if they do not agree."""

    async def work(bus: NatsBus, subjects: Subjects) -> None:
        result = await reconcile.run_now(bus, subjects)
        typer.echo(_json(result) if as_json else "\n".join(reconcile.lines(result)))
        if result.drifts:
            raise typer.Exit(1)

    _direct(env, work)


@orphans_app.callback(invoke_without_command=True)
def orphans_list(ctx: typer.Context, env: _EnvOption = Env.SIM, *, as_json: _Json = False) -> None:
    """List orphaned orders and positions; exit 1 while one is open."""
    if ctx.invoked_subcommand is not None:
        return
    rows = _with_bus(env, lambda bus, subjects: table_sources.read_table(bus, subjects, "orphaned-orders"))
    if as_json:
        typer.echo(_json(rows))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(orphans_command.table(rows))
    if any(not row["resolved"] for row in rows):
        raise typer.Exit(1)


@orphans_app.command("resolve")
def orphans_resolve(
    orphan_id: Annotated[str, typer.Argument(metavar="ID", help="as `dora orphans` shows it")],
    action: Annotated[str, typer.Option(help=", ".join(orphans_command.ACTIONS))],
    reason: Annotated[str, typer.Option(help="why, for the record")],
    by: Annotated[str, typer.Option(help="who decides; without it who is signed in")] = "",
    env: _EnvOption = Env.SIM,
) -> None:
    """Store what was decided about an orphan; no order is sent or cancelled by it."""

    async def work(bus: NatsBus, subjects: Subjects) -> None:
        ask = OrphanAskV1(id=orphan_id, action=action, by=by or _who(), reason=reason)
        row = await orphans_command.resolve(bus, subjects, ask)
        typer.echo(f"{row.id}: {row.resolution_action} by {row.user_id}: {row.reason}")

    _direct(env, work)


@app.command("tables")
def show_table(
    name: Annotated[str, typer.Argument(help=", ".join(tables.TABLES))],
    env: _EnvOption = Env.SIM,
    *,
    as_json: Annotated[bool, typer.Option("--json/--lines", help="one array, or a row a line")] = True,
) -> None:
    """Print an audit table from the streams."""
    if name not in tables.TABLES:
        _fail(f"expected one of {', '.join(tables.TABLES)}, was {name!r}")
    rows = _with_bus(env, lambda bus, subjects: table_sources.read_table(bus, subjects, name))
    if as_json:
        typer.echo(_json(rows))
    else:
        for row in rows:
            typer.echo(msgspec.json.encode(row).decode())


@order_app.command("place")
def order_place(  # noqa: PLR0917 - typer makes each an option
    market: Annotated[str, typer.Argument(help="the market's ticker")],
    action: Annotated[str, typer.Argument(help="buy or sell")],
    leg: Annotated[str, typer.Argument(help="yes or no")],
    price: Annotated[str, typer.Argument(help="dollars a contract of that leg, for example 0.60")],
    size: Annotated[str, typer.Argument(help="contracts, for example 5 or 2.50")],
    reason: Annotated[str, typer.Option(help="why, for the record")] = "no reason given",
    wait: Annotated[float, typer.Option(min=0.1, max=240, help="seconds until it is cancelled")] = 60.0,
    poll: Annotated[float, typer.Option(min=0.1, max=240, help="seconds between two reads of it")] = 1.0,
    request_id: Annotated[str, typer.Option(help="ask again for an order placed before")] = "",
    env: _EnvOption = Env.SIM,
    *,
    is_exit: Annotated[bool, typer.Option("--exit", help="immediate or cancel, reduce only")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="confirm without being asked")] = False,
) -> None:
    """Place one order and wait for what becomes of it; exit 1 if too little of it was filled."""
    try:
        side, price_e4 = direct.leg_to_yes(action, leg, parse_price_e4(price))
        qty_e2 = parse_qty_e2(size)
    except MalformedNumber as e:
        _fail(f"expected {e}")

    async def work(bus: NatsBus, subjects: Subjects) -> None:
        ask = PlaceAskV1(
            request_id=request_id or direct.new_request_id(),
            account=await direct.account_of(bus, subjects),
            market=market,
            side=side,
            price_e4=price_e4,
            qty_e2=qty_e2,
            mode=Purpose.EXIT if is_exit else Purpose.MANUAL,
            max_wait_s=wait,
            poll_s=poll,
            by=_who(),
            reason=reason,
        )
        typer.echo(f"request {ask.request_id}: {direct.told_order(ask)}")
        if not yes and not typer.confirm("place it?"):
            _fail("not placed", 1)
        told = await direct.place(bus, subjects, ask)
        typer.echo(direct.told_confirmation(told))
        if not told.is_acceptable:
            raise typer.Exit(1)

    _direct(env, work)


@order_app.command("confirm")
def order_confirm(
    request_ids: Annotated[list[str], typer.Argument(help="what `dora order place` called its requests")],
    wait: Annotated[float, typer.Option(min=0, max=240, help="seconds")] = 60.0,
    env: _EnvOption = Env.SIM,
) -> None:
    """Tell what became of orders placed before, together; exit 1 if one is open, missing or too little."""

    async def work(bus: NatsBus, subjects: Subjects) -> None:
        told = await direct.confirm(bus, subjects, tuple(request_ids), wait)
        for one in told.confirmations:
            typer.echo(direct.told_confirmation(one))
        for request_id in told.pending:
            typer.echo(f"open: {request_id}")
        for request_id in told.missing:
            typer.echo(f"never heard of: {request_id}")
        if not told.is_acceptable:
            raise typer.Exit(1)

    _direct(env, work)


@app.command()
def flatten(
    reason: Annotated[str, typer.Argument(help="why, for the record")] = "no reason given",
    env: _EnvOption = Env.SIM,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what it would do and cost")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="confirm without being asked")] = False,
) -> None:
    """Cancel everything, then close every position within collar and cost cap; exit 1 if not flat."""

    async def work(bus: NatsBus, subjects: Subjects) -> None:
        account = await direct.account_of(bus, subjects)
        ask = FlattenAskV1(request_id=direct.new_request_id(), account=account, by=_who(), reason=reason)
        planned = await direct.flatten(bus, subjects, ask)
        typer.echo(direct.told_report(planned))
        if planned.refused:
            _fail("refused", 1)
        if dry_run:
            return
        if not yes and typer.prompt(f"type the account's name ({account}) to flatten it") != account:
            _fail("not flattened", 1)
        sent = msgspec.structs.replace(ask, request_id=direct.new_request_id(), is_dry_run=False)
        report = await direct.flatten(bus, subjects, sent)
        typer.echo(direct.told_report(report))
        if not report.is_flat:
            raise typer.Exit(1)

    _direct(env, work)


def _direct(env: Env, work: Callable[[NatsBus, Subjects], Awaitable[None]]) -> None:
    async def asked(bus: NatsBus, subjects: Subjects) -> None:
        try:
            await work(bus, subjects)
        except operate.OperationRefused as e:
            _fail(e, 1)

    _with_bus(env, asked)


@app.command()
def down(env: _EnvOption = Env.SIM) -> None:
    """End what `dora up` started, in order, and wait until it has ended."""
    run = _run_file(env)
    os.kill(run.pid, signal.SIGTERM)
    deadline_s = time.monotonic() + 90.0
    while time.monotonic() < deadline_s:
        try:
            runfile.read(Places(env.value, env.value).run_file)
        except runfile.NotRunning:
            typer.echo("ended")
            return
        time.sleep(0.1)
    _fail(f"process {run.pid} did not end within 90 s", 1)


@app.command("env")
def show_env(env: _EnvOption = Env.SIM) -> None:
    """Print what the stock `nats` command needs: eval "$(bin/dora env)"."""
    run = _run_file(env)
    password = Path(run.nats_password_file).read_text(encoding="utf-8").strip()
    told = {"NATS_URL": run.nats_url, "NATS_USER": run.nats_user, "NATS_PASSWORD": password}
    for name, value in told.items():
        typer.echo(f"export {name}={value}")


@app.command("check-config")
def check_config(
    env: _EnvOption = Env.SIM,
    service: Annotated[str, typer.Argument(help="one service; without it all")] = "",
    config: _Config = None,
) -> None:
    """Print every service's configuration, redacted, with its hash; exit 2 if one is refused."""
    names = [service] if service else [*SERVICES, *(["simexchange"] if env is Env.SIM else [])]
    wish = Wish(env=env, name=env.value, config=config)
    code = 0
    for name in names:
        ours = _SET_BY_UP | {"DORA_CONFIG": str(wish.config_of(name)), "DORA_ENV": env.value}
        given = {k: v for k, v in os.environ.items() if k.startswith("DORA_")}
        done = subprocess.run(
            (sys.executable, "-m", f"services.{name}", "--check-config"),
            env=clean_env() | ours | given,
            cwd=ROOT,
            check=False,
        )
        code = max(code, done.returncode)
    raise typer.Exit(code)


def _run_file(env: Env) -> runfile.RunFile:
    try:
        return runfile.read(Places(env.value, env.value).run_file)
    except runfile.NotRunning as e:
        _fail(e, 1)


def _with_bus(env: Env, work: Callable[[NatsBus, Subjects], Awaitable[Any]]) -> Any:
    run = _run_file(env)

    async def connected() -> Any:
        async with operate.operator_bus(run) as bus:
            return await work(bus, Subjects(env))

    try:
        return asyncio.run(connected())
    except (BusError, OSError) as e:
        _fail(e, 1)


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
