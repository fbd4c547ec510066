"""Put the reconciler together: the only place that names its concrete adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from libs.common.kalshi.feed import run_feed
from libs.common.kalshi.model import FeedEvent
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.app import App, Runtime
from services.reconciler.config import Config, Timing
from services.reconciler.core.core import Patience, ReconcilerCore
from services.reconciler.core.own_session import OwnSession
from services.reconciler.shell.lister import Lister
from services.reconciler.shell.service import ReconcilerApp

_MS = 1_000_000


def wire(runtime: Runtime[Config]) -> App:
    """Return the service, with a session, a reader and a key of its own."""
    venue = runtime.config.venue
    signer = Signer.from_file(venue.key_id, Path(venue.key_file))
    reader = VenueReader(venue.rest_url, make_transport(venue.rest_url), signer, runtime.clock)
    core = ReconcilerCore(runtime.common.account, runtime.env, patience(runtime.config.timing))

    session = OwnSession()

    async def feed(on_events: Callable[[list[FeedEvent], int], None]) -> None:
        await run_feed(venue.ws_url, signer, session, on_events, runtime.clock)

    return ReconcilerApp(runtime, core, Lister(reader, runtime.clock), feed, session.faults)


def patience(timing: Timing) -> Patience:
    """Return the configured timing in the core's units."""
    return Patience(
        cycle_ns=timing.cycle_ms * _MS,
        cycle_min_ns=min(timing.cycle_min_ms, timing.cycle_ms) * _MS,
        settle_ms=timing.settle_ms,
        confirm_ns=timing.confirm_ms * _MS,
        confirm_cycles=timing.confirm_cycles,
        fresh_cycles=timing.fresh_cycles,
        escalate_cycles=timing.escalate_cycles,
        executor_silence_ns=timing.executor_silence_ms * _MS,
        recovery_ns=timing.recovery_ms * _MS,
        in_flight_ns=timing.in_flight_ms * _MS,
        halt_after_ns=timing.halt_after_ms * _MS,
    )
