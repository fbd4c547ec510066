"""Put the riskguard together: the only place that names its concrete adapters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from libs.common.control.admission import Admission
from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.feed import run_feed
from libs.common.kalshi.model import FeedEvent
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.session import FeedSession
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.app import App, Runtime
from libs.common.runtime.errors import ConfigError
from libs.common.runtime.latch_file import LatchFile
from services.riskguard.config import Config, Day
from services.riskguard.core.account import Account
from services.riskguard.core.areas import Areas
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.day import TradingDay
from services.riskguard.core.emergency import EmergencyLane, Leader
from services.riskguard.core.judge import Patience
from services.riskguard.core.latches import Latches
from services.riskguard.core.marks import Marks
from services.riskguard.core.open_orders import OpenOrders
from services.riskguard.core.resume import ResumeDesk
from services.riskguard.shell.service import RiskguardApp
from services.riskguard.shell.slow_reader import SlowReader
from services.riskguard.shell.venue import VenueHands

CHANNELS = ("fill", "user_orders")
LANE_ANSWER_S = 1.0
"""A trigger or cancel without an answer is sent again after this; it may well have been done."""
_MS = 1_000_000


def wire(runtime: Runtime[Config]) -> App:
    """Return the service, with a session, a reader, a canceller and a key of its own.

    Raises:
        ConfigError: The zone of the trading day is not in the tz database.
    """
    config, clock = runtime.config, runtime.clock
    venue = config.venue
    signer = Signer.from_file(venue.key_id, Path(venue.key_file))
    reader = VenueReader(venue.rest_url, make_transport(venue.rest_url), signer, clock)
    # Its own connections: a cancel in an emergency waits behind no listing.
    canceller = Canceller(
        venue.rest_url, make_transport(venue.rest_url), signer, clock, deadline_s=LANE_ANSWER_S
    )
    latch_name = f"riskguard-{runtime.env.value}-{runtime.common.account}"
    latch_file = LatchFile(Path(runtime.common.state_dir), latch_name)
    verifier = config.control.verifier(runtime.env, runtime.common.account)
    timing = config.timing
    account = Account(
        trading_day(config.day),
        Marks(timing.book_stale_ms * _MS),
        OpenOrders(runtime.env.value),
        day_ms=trading_day(config.day).start_ms(clock.now_ns() // _MS),
    )
    core = RiskguardCore(
        account_id=runtime.common.account,
        limits=config.limits,
        patience=Patience(
            listing_ns=timing.listing_ms * _MS,
            listing_fresh_ns=timing.listing_fresh_ms * _MS,
            recon_silence_ns=timing.recon_silence_ms * _MS,
            book_stale_ms=timing.book_stale_ms,
            executor_silence_ns=timing.executor_silence_ms * _MS,
        ),
        account=account,
        latches=Latches(latch_file.read(), Admission(verifier)),
        leader=Leader(clock.mono_ns()),
        lane=EmergencyLane(timing.executor_silence_ms * _MS, timing.emergency_repeat_ms * _MS),
        desk=ResumeDesk(timing.nonce_life_ms * _MS, verifier, runtime.config_hash, config.ramp),
        areas=Areas.under(config.limits, runtime.env.value),
    )

    async def feed(on_events: Callable[[list[FeedEvent], int], None]) -> None:
        session = FeedSession(CHANNELS)
        await run_feed(venue.ws_url, signer, session, on_events, clock)

    hands = VenueHands(reader, canceller, clock, runtime.log)
    slow = SlowReader(
        VenueReader(venue.rest_url, make_transport(venue.rest_url), signer, clock),
        venue.key_id,
        credentials(config),
        Path(runtime.common.state_dir),
        hands.use_limits,
        clock,
    )
    return RiskguardApp(runtime, core, hands, slow, feed, latch_file)


def credentials(config: Config) -> dict[str, Path]:
    """Return the files of our credentials by what they are, as far as we have any."""
    named = {
        "venue key": config.venue.key_file,
        "bus password": config.common.nats_password_file,
        "bus nkey": config.common.nats_nkey_file,
    }
    return {name: Path(path) for name, path in named.items() if path}


def trading_day(day: Day) -> TradingDay:
    """Return the configured day.

    Raises:
        ConfigError: The zone is not in the tz database.
    """
    try:
        zone = ZoneInfo(day.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"day.zone: expected a zone of the tz database, was {day.zone!r}") from None
    return TradingDay(zone, day.start_hour)
