"""`dora up`: a world that runs until it is told to stop."""

from __future__ import annotations

import asyncio

from libs.cli import operate, runfile
from libs.cli.demo import leave_birth_halt, unless
from libs.cli.places import Places
from libs.cli.signals import stop_event
from libs.cli.supervisor import Supervisor
from libs.cli.world import Wish, World
from libs.common.env import Env


class Refused(Exception):  # noqa: N818 - named for what happened
    """This environment does not start that way; the text says what is missing."""


def refuse(wish: Wish) -> None:
    """Refuse what may not start.

    Raises:
        Refused: With everything that is missing.
    """
    if wish.env is Env.LIVE:
        raise Refused(
            "live is refused: it starts only with a fresh preflight, a confirmation naming the account,"
            " and credentials whose file mode is private; the preflight is not part of this version"
        )
    if wish.env is Env.PAPER:
        raise Refused(
            "paper is refused: it needs real books beside simulated orders, which this version does not"
            " have yet; `dora up --env sim` plays recorded books"
        )
    if wish.env is Env.DEMO and wish.venue is None:
        raise Refused(
            "demo needs a venue: --venue-rest, --venue-ws, --venue-key-id and --venue-key-file"
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
