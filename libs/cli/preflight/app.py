"""The commands of the preflight, as typer sees them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console

from libs.cli import attest, operate, runfile
from libs.cli.places import ACCOUNT, CONFIG_ROOT, Places, var_root
from libs.cli.preflight import command, gather, records
from libs.common.bus.api import Bus, BusError
from libs.common.env import Env
from libs.common.runtime.log import bot_version
from libs.common.subjects import Subjects

T = TypeVar("T")

app = typer.Typer()

_Target = Annotated[Env, typer.Option("--for", help="the environment that is meant to start")]
_Config = Annotated[
    Path | None,
    typer.Option(
        "--config", exists=True, file_okay=False, resolve_path=True, help="its configuration folder"
    ),
]
_By = Annotated[str, typer.Option("--by", help="who says so; without it the user")]
_KeyFile = Annotated[
    Path | None, typer.Option("--venue-key-file", envvar="PROD_KEYFILE", help="its venue key")
]


@app.command()
def preflight(
    target: _Target = Env.LIVE,
    env: Annotated[Env, typer.Option("--env", help="where Dora runs now", envvar="DORA_ENV")] = Env.SIM,
    account: Annotated[str, typer.Option(help="the account that will trade")] = ACCOUNT,
    config: _Config = None,
    key_file: _KeyFile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Look at the ten items before real money, with evidence; exit 1 while one is open."""
    facts = gather.facts(
        var=var_root(),
        config=config or CONFIG_ROOT / target.value,
        target=target,
        key_file=key_file,
        asked=_ask(env),
    )
    report = command.make_report(facts, target=target, rehearsed_in=env, account=account)
    path = command.keep(var_root(), report)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    else:
        Console().print(command.table(report))
        typer.echo(f"written: {path}")
    if not report.is_passed:
        raise typer.Exit(1)


@app.command("attest")
def attest_controls(
    env: Annotated[Env, typer.Option("--env", help="where Dora runs now", envvar="DORA_ENV")] = Env.SIM,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """List every control: value, owner, last fired, last test; exit 1 where one is not tested."""
    try:
        controls, gate, fired = _with_bus(env, attest.ask)
    except (runfile.NotRunning, operate.OperationRefused, BusError, OSError) as e:
        typer.echo(f"dora: {e}", err=True)
        raise typer.Exit(1) from None
    tests = gather.read_controls(var_root() / "controls.json")
    found = list(attest.lines(attest.Said(controls, gate, fired, tests, bot_version(os.environ))))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        Console().print(attest.table(found))
    missing = [line.name for line in found if line.is_open]
    if missing:
        why = tests if isinstance(tests, str) else "tested with another build, or not whole"
        typer.echo(
            f"{len(missing)} of {len(found)} controls are open ({why}): `make test-controls`", err=True
        )
        raise typer.Exit(1)


@app.command("record")
def record(
    what: Annotated[str, typer.Argument(help=", ".join(records.BY_HAND))],
    evidence: Annotated[str, typer.Argument(help="what was seen, and where")],
    by: _By = "",
    *,
    failed: Annotated[bool, typer.Option("--failed", help="it did not go well")] = False,
) -> None:
    """Put on record what Dora cannot see itself; `dora preflight` shows it with your name."""
    try:
        path = command.record_by_hand(var_root(), what, is_passed=not failed, evidence=evidence, by=by)
    except ValueError as e:
        _refuse(e)
    typer.echo(f"written: {path}")


@app.command("approve")
def approve(  # noqa: PLR0917 - typer makes each an option
    role: Annotated[str, typer.Argument(help=", ".join(records.APPROVERS))],
    key: Annotated[Path, typer.Option("--key", help="your private Ed25519 key in PEM, mode 0600")],
    evidence: Annotated[str, typer.Option("--reason", help="what the approval rests on")],
    target: _Target = Env.LIVE,
    config: _Config = None,
    by: _By = "",
) -> None:
    """Approve this build and this configuration, signed."""
    folder = config or CONFIG_ROOT / target.value
    try:
        path = command.approve(var_root(), role, config=folder, evidence=evidence, by=by, key_file=key)
    except ValueError as e:
        _refuse(e)
    typer.echo(f"written: {path}")


def _refuse(error: ValueError) -> NoReturn:
    typer.echo(f"dora: expected {error}", err=True)
    raise typer.Exit(2)


def _ask(env: Env) -> gather.Asked:
    try:
        return _with_bus(env, gather.asked)
    except (runfile.NotRunning, BusError, OSError) as e:
        return gather.Asked.nobody(str(e))


def _with_bus(env: Env, work: Callable[[Bus, Subjects], Awaitable[T]]) -> T:
    """Return what the work returns.

    Raises:
        NotRunning: Nothing runs in this environment.
        BusError: It could not be asked.
    """
    run = runfile.read(Places(env.value, env.value).run_file)

    async def connected() -> T:
        async with operate.operator_bus(run) as bus:
            return await work(bus, Subjects(env))

    return asyncio.run(connected())
