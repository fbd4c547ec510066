"""Where the two sides of the final audit come from: EXEC over the bus, the account over REST."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from libs.cli.audit import Account, Journal
from libs.common.bus.api import Bus
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.messages.base import MalformedMessage, W, WireDecoder
from libs.common.messages.execution import FillV1, IntentV1
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.errors import VenueRefused, VenueUnavailable
from libs.common.subjects import Subjects

_BALANCE_TRIES: Final = 20
_BALANCE_PAUSE_S: Final = 0.7


@contextlib.asynccontextmanager
async def account_reader(rest_url: str, key_id: str, key_file: Path) -> AsyncIterator[VenueReader]:
    """Yield a reader of the account at the venue, paced by the account's own limits."""
    signer = Signer.from_file(key_id, key_file)
    async with make_transport(rest_url) as transport:
        reader = VenueReader(rest_url, transport, signer, SystemClock())
        reader.use_limits(await reader.limits())
        yield reader


async def read_balance(reader: VenueReader) -> int:
    """Return the cash on all shards; the services ask too, and the venue allows few calls, so patiently.

    Raises:
        VenueError: It said no all the time.
    """
    for _ in range(_BALANCE_TRIES - 1):
        try:
            return (await reader.balance()).total_e6
        except (VenueRefused, VenueUnavailable):
            await asyncio.sleep(_BALANCE_PAUSE_S)
    return (await reader.balance()).total_e6


async def read_account(reader: VenueReader) -> Account:
    """Return what the venue says of the account; one read after the other, so nothing is at one instant."""
    orders = await reader.orders()
    fills = await reader.fills()
    positions = await reader.positions("unsettled")
    settlements = await reader.settlements()
    balance_e6 = await read_balance(reader)
    return Account(balance_e6, orders, fills, positions, settlements)


async def read_journal(bus: Bus, subjects: Subjects) -> Journal:
    """Return the intents and fills that EXEC holds."""
    return Journal(
        await _read(bus, subjects.all_of("exec.intent"), WireDecoder(IntentV1)),
        await _read(bus, subjects.all_of("fill"), WireDecoder(FillV1)),
    )


async def _read(bus: Bus, pattern: str, decoder: WireDecoder[W]) -> list[W]:
    """Return what can be read; garbage is no record of ours, and a lost record shows as a residual."""
    found = []
    async for message in bus.read(pattern):
        with contextlib.suppress(MalformedMessage):
            found.append(decoder.decode(message.data))
    return found
