"""Configuration of marketdata."""

from __future__ import annotations

import msgspec

from libs.common.env import Env
from libs.common.runtime.config import Common, Seconds, Venue
from libs.common.runtime.errors import ConfigError
from services.marketdata.core.feed_core import FeedRules
from services.marketdata.core.selection import Selection


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to follow, how to believe it, how often to look."""

    common: Common = Common()
    venue: Venue = Venue()
    selection: Selection = Selection()
    feed: FeedRules = FeedRules()
    discovery_s: Seconds = 15.0
    """How often the venue's open markets are listed; the feed tells of new ones in between."""
    series_refresh_s: Seconds = 60.0
    """How old a series' fees may be before it is asked again, with the next listing."""
    exchange_status_s: Seconds = 5.0
    """How often it is asked whether exchange and shards trade."""
    market_silence_s: Seconds = 30.0
    """A connection that says nothing for so long is closed and made anew."""

    def __post_init__(self) -> None:
        for name, value, scheme in (
            ("rest_url", self.venue.rest_url, "http"),
            ("ws_url", self.venue.ws_url, "ws"),
        ):
            if not value.startswith((f"{scheme}://", f"{scheme}s://")):
                raise ConfigError(
                    f"venue.{name}: expected an address with {scheme} or {scheme}s, was {value!r}"
                )

    @property
    def volume_e2_min(self) -> int:
        """Return the least volume of the busiest markets, resolved for the environment (E-055)."""
        given = self.selection.volume_e2_min
        if given is not None:
            return given
        return 0 if self.common.env is Env.SIM else 1
