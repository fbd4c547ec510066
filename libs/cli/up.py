"""`dora up`: a world that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import time

from libs.cli import operate, runfile
from libs.cli.demo import leave_birth_halt, unless
from libs.cli.places import ACCOUNT, Places, var_root
from libs.cli.preflight.command import read_report
from libs.cli.preflight.gather import config_hash, key_problem
from libs.cli.preflight.items import refusal
from libs.cli.signals import stop_event
from libs.cli.supervisor import Supervisor
from libs.cli.world import Wish, World
from libs.common.env import Env
from libs.common.runtime.log import bot_version


class Refused(Exception):  # noqa: N818 - named for what happened
    """This environment does not start that way; the text says what is missing."""


def refuse(wish: Wish) -> None:
    """Refuse what may not start.

    Raises:
        Refused: With everything that is missing.
    """
    if wish.env is Env.LIVE and (missing := live_missing(wish)):
        raise Refused("live is refused, it needs " + "; and ".join(missing))
    if wish.env is Env.PAPER:
        raise Refused(
            "paper is refused: it needs real books beside simulated orders, which this version does not"
            " have yet; `dora up --env sim` plays recorded books"
        )
    if wish.env in {Env.DEMO, Env.LIVE} and wish.venue is None:
        raise Refused(
            f"{wish.env.value} needs a venue: --venue-rest, --venue-ws, --venue-key-id and --venue-key-file"
            " (or DORA_VENUE_REST_URL, DORA_VENUE_WS_URL, DORA_VENUE_KEY_ID or DEMO_KEYID,"
            " DORA_VENUE_KEY_FILE or DEMO_KEYFILE)"
        )
    if wish.venue is not None and wish.tape is not None:
        raise Refused("--tape belongs to the simulated venue, --venue-rest names another: give one of them")
    if wish.venue is not None and not wish.venue.key_file.is_file():
        raise Refused(f"--venue-key-file: expected a readable PEM file, was {str(wish.venue.key_file)!r}")
    places = Places(wish.name, wish.env.value)
    try:
        other = runfile.read(places.run_file)
    except runfile.NotRunning:
        return
    raise Refused(f"{wish.env.value} runs already as process {other.pid}; `dora down` ends it")


def live_missing(wish: Wish) -> list[str]:
    """Return what keeps `live` from starting: nothing of it can be waived."""
    folder = wish.config_folder
    reason = refusal(
        read_report(var_root(), Env.LIVE),
        now_ms=time.time_ns() // 1_000_000,
        build=bot_version(os.environ),
        config=config_hash(folder),
        account=ACCOUNT,
    )
    missing = [reason] if reason else []
    if wish.confirmed != ACCOUNT:
        missing.append(f"--confirm with the account's name, was {wish.confirmed or 'none'}")
    if wish.venue is None:
        missing.append("the venue: --venue-rest, --venue-ws, --venue-key-id, --venue-key-file")
    elif problem := key_problem(wish.venue.key_file):
        missing.append(f"a private venue key: {problem}")
    return missing


def say(text: str) -> None:
    """Print one line at once."""
    print(text, flush=True)


async def _up(wish: Wish) -> int:
    with stop_event() as stop:
        async with Supervisor(say) as supervisor:
            world = World(wish, supervisor, say)
            supervisor.on_change = world.tell
            try:
                await unless(stop, world.start())
                if not stop.is_set() and wish.env is Env.SIM and wish.venue is None:
                    async with operate.operator_bus(world.run) as bus:
                        await unless(stop, leave_birth_halt(bus, world.subjects, "dora up", say))
                if not stop.is_set():
                    say(f"up: {wish.env.value}; Ctrl-C or `dora down` ends it in order")
                await stop.wait()
                say("ending in order")
            finally:
                await supervisor.stop_all()
                world.untell()
    say("ended")
    return 0


def main(wish: Wish) -> int:
    """Run until stopped and return the exit code."""
    refuse(wish)
    return asyncio.run(_up(wish))
