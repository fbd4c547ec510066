"""The commands that loosen: resume, limits, and the keys of those who sign for it.

Everything here is two steps where it loosens. What the first step answers is shown before
anything is asked; where people must sign, the offer goes to a file, each of them signs it
on their own machine, and whoever has the signatures takes the second step.
"""

from __future__ import annotations

import asyncio
import getpass
import re
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from libs.cli import operate, runfile, signers
from libs.cli.places import Places
from libs.common.bus.api import Bus, BusError
from libs.common.env import Env
from libs.common.messages.control import ResumeV1
from libs.common.messages.risk import LimitV1
from libs.common.subjects import Subjects

T = TypeVar("T")

app = typer.Typer()
keys_app = typer.Typer(name="keys", help="Keys of the people who sign.", no_args_is_help=True)
limits_app = typer.Typer(
    name="limits", help="Show and change limits while Dora runs.", invoke_without_command=True
)
app.add_typer(keys_app)
app.add_typer(limits_app)

_Env = Annotated[Env, typer.Option("--env", help="sim, paper, demo or live", envvar="DORA_ENV")]
_Keys = Annotated[list[Path] | None, typer.Option("--sign-with", help="a key file; once for each person")]
_Signatures = Annotated[
    list[str] | None, typer.Option("--signature", help="what `dora sign` printed; once for each person")
]
_Offer = Annotated[Path | None, typer.Option("--offer", help="take the second step of this offer")]
_OfferOnly = Annotated[
    bool, typer.Option("--offer-only", help="print the offer for others to sign, and take no second step")
]
_Yes = Annotated[bool, typer.Option("--yes", help="confirm without being asked")]
_SPAN: Final = re.compile(r"(\d+)(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@app.command()
def resume(  # noqa: PLR0917 - typer makes each an option
    reason: Annotated[str, typer.Argument(help="why, for the record")] = "no reason given",
    env: _Env = Env.SIM,
    sign_with: _Keys = None,
    signature: _Signatures = None,
    offer: _Offer = None,
    override: Annotated[
        str, typer.Option(help="overrule what is still red for so long, for example 10m; at most an hour")
    ] = "",
    *,
    offer_only: _OfferOnly = False,
    yes: _Yes = False,
) -> None:
    """Lift the newest halt and all before it, in two steps: what would happen, then your confirmation."""

    async def work(bus: Bus, subjects: Subjects) -> None:
        if offer is not None:
            made = _offered(offer, ResumeV1)
            first = operate.Offer(made.nonce, {})
        else:
            until_ms = _until_ms(override)
            first = await operate.offer_resume(bus, subjects, reason, _who(), override_until_ms=until_ms)
            made = msgspec.convert(first.answer["offer"], ResumeV1)
            typer.echo("a resume would do this:\n" + operate.told(first.answer), err=offer_only)
        if offer_only:
            sys.stdout.write(msgspec.json.encode(signers.Offered(resume=made)).decode() + "\n")
            return
        if not yes and not typer.confirm("resume?"):
            _fail("still halted", 1)
        signed = _signatures(made, sign_with, signature)
        answer = await operate.confirm_resume(bus, subjects, first, made.reason, made.by, signed)
        typer.echo("resumed:\n" + operate.told(answer))

    _with_bus(env, work)


@app.command("sign")
def sign_offer(
    offer: Annotated[Path, typer.Argument(help="the file that --offer-only printed")],
    key: Annotated[Path, typer.Option("--key", help="your key file")],
) -> None:
    """Show an offer and print your signature of it; nothing is sent anywhere."""
    try:
        record = signers.read_offer(offer).record
        typer.echo(f"{type(record).__name__.removesuffix('V1').lower()}:", err=True)
        typer.echo(operate.told(msgspec.to_builtins(record)), err=True)
        typer.echo(signers.sign_with(key, record))
    except signers.KeyRefused as e:
        _fail(f"expected {e}")


@keys_app.command("new")
def new_key(
    name: Annotated[str, typer.Argument(help="the person, as it will be configured")],
    out: Annotated[Path | None, typer.Option(help="where; without it <name>.signer.json here")] = None,
) -> None:
    """Write a private key that only you can read, and print the line for [control.signers]."""
    path = out or Path(f"{name}.signer.json")
    try:
        line = signers.make(name, path)
    except signers.KeyRefused as e:
        _fail(f"expected {e}")
    typer.echo(f"{path} is yours alone; this line belongs into executor.toml and riskguard.toml:", err=True)
    typer.echo(f"[control.signers]\n{line}")


@limits_app.callback()
def limits(
    context: typer.Context,
    env: _Env = Env.SIM,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show every limit: what it is, its configured value, who changed it, why, and until when."""
    if context.invoked_subcommand is not None:
        return
    shown = _with_bus(env, operate.show_limits)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(limits_table(shown))
        typer.echo(f"sizes: {shown['scale_e4'] / 100:g} %")
        if shown["limits_hash"] != shown["executor_limits_hash"]:
            typer.echo("the executor is silent or holds other changes than riskguard", err=True)


@limits_app.command("set")
def set_limit(  # noqa: PLR0917 - typer makes each an option
    name: Annotated[str, typer.Argument(help="as `dora limits` shows it")],
    value: Annotated[int, typer.Argument(min=0, help="in the limit's own unit")],
    reason: Annotated[str, typer.Option(help="why, for the record")] = "no reason given",
    until: Annotated[str, typer.Option(help="for so long (90m, 2h, 3d) or until then (RFC 3339)")] = "",
    env: _Env = Env.SIM,
    sign_with: _Keys = None,
    signature: _Signatures = None,
    offer: _Offer = None,
    *,
    offer_only: _OfferOnly = False,
    yes: _Yes = False,
) -> None:
    """Lower a limit at once, or raise it in two steps, within the configuration and until a set time."""

    async def work(bus: Bus, subjects: Subjects) -> None:
        ask: dict[str, Any] = {"name": name, "value": value, "reason": reason, "by": _who()}
        made = None if offer is None else _offered(offer, LimitV1)
        if made is None:
            ask["until_ms"] = _until_ms(until)
            first = await operate.change_limit(bus, subjects, ask)
            if first.get("offer") is None:
                typer.echo("done:\n" + operate.told(first))
                return
            made = msgspec.convert(first["offer"], LimitV1)
            typer.echo("raising a limit:\n" + operate.told(first), err=offer_only)
        if (made.name, made.value) != (name, value):
            _fail(f"the offer is about {made.name} {made.value}")
        if offer_only:
            sys.stdout.write(msgspec.json.encode(signers.Offered(limit=made)).decode() + "\n")
            return
        if not yes and not typer.confirm("raise it?"):
            _fail("nothing changed", 1)
        told = {"until_ms": made.until_ms, "nonce": made.nonce, "reason": made.reason, "by": made.by}
        signed = _signatures(made, sign_with, signature)
        answer = await operate.change_limit(bus, subjects, {**ask, **told, "signatures": signed})
        typer.echo("done:\n" + operate.told(answer))

    _with_bus(env, work)


def limits_table(shown: dict[str, Any]) -> Table:
    """Return the limits as a table, those that were changed marked by who did it."""
    table = Table(header_style="bold")
    for title in ("limit", "value", "configured", "who", "why", "until"):
        table.add_column(title, justify="right" if title in ("value", "configured") else "left")
    for one in shown["all"]:
        change = one["change"] or {}
        until_ms = change.get("until_ms")
        table.add_row(
            one["name"],
            f"{one['value']:,}",
            f"{one['cap']:,}",
            change.get("by", ""),
            change.get("reason", ""),
            "" if until_ms is None else _moment(until_ms),
            style="bold" if change else "",
        )
    return table


def _moment(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"  # beyond the calendar: whoever said so meant for ever


R = TypeVar("R", ResumeV1, LimitV1)


def _offered(path: Path, kind: type[R]) -> R:
    try:
        record = signers.read_offer(path).record
    except signers.KeyRefused as e:
        _fail(f"expected {e}")
    if not isinstance(record, kind):
        _fail(f"{path} is an offer of something else")
    return record


def _signatures(record: ResumeV1 | LimitV1, keys: list[Path] | None, given: list[str] | None) -> list[str]:
    try:
        return [*(given or ()), *(signers.sign_with(key, record) for key in keys or ())]
    except signers.KeyRefused as e:
        _fail(f"expected {e}")


def _until_ms(text: str) -> int | None:
    if not text:
        return None
    if span := _SPAN.fullmatch(text):
        return time.time_ns() // 1_000_000 + int(span[1]) * _SECONDS[span[2]] * 1_000
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        _fail(f"expected a time like 90m, 2h, 3d or 2026-11-22T08:00:00Z, was {text!r}")
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def _with_bus(env: Env, work: Callable[[Bus, Subjects], Awaitable[T]]) -> T:
    try:
        run = runfile.read(Places(env.value, env.value).run_file)
    except runfile.NotRunning as e:
        _fail(e, 1)

    async def connected() -> T:
        async with operate.operator_bus(run) as bus:
            return await work(bus, Subjects(env))

    try:
        return asyncio.run(connected())
    except operate.OperationRefused as e:
        _fail(f"refused:\n{e}", 1)
    except (BusError, OSError) as e:
        _fail(e, 1)


def _fail(text: object, code: int = 2) -> NoReturn:
    typer.echo(f"dora: {text}", err=True)
    raise typer.Exit(code)


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "operator"
