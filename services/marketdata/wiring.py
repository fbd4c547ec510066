"""Puts marketdata together; the only place that names concrete parts."""

from __future__ import annotations

import secrets
from pathlib import Path

from libs.common.domain.ids import run_id
from libs.common.env import Env
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import KeyUnusable, Signer
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.app import Runtime
from libs.common.runtime.errors import ConfigError
from services.marketdata.config import Config
from services.marketdata.core.feed_core import FeedCore
from services.marketdata.shell.service import MarketdataApp


def wire(runtime: Runtime[Config]) -> MarketdataApp:
    """Return the service.

    Raises:
        ConfigError: The venue's key cannot be used.
    """
    venue = runtime.config.venue
    try:
        signer = Signer.from_file(venue.key_id, Path(venue.key_file), require_private=runtime.env is Env.LIVE)
    except KeyUnusable as e:
        raise ConfigError(f"venue.key_file: {e}") from None
    reader = VenueReader(venue.rest_url, make_transport(venue.rest_url), signer, runtime.clock)
    core = FeedCore(runtime.config.feed, producer_of(runtime.clock.now_ns()))
    return MarketdataApp(runtime, core, reader, signer)


def producer_of(started_ns: int) -> str:
    """Return an id of this process's life that sorts by its start.

    A deployment's run id outlives a crash, but book numbers begin again at 1
    with every process: the executor tells old from new by this id first.
    """
    return run_id(started_ns, f"{started_ns // 1_000_000 % 1_000:03d}{secrets.token_hex(2)}")
