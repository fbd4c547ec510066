"""What a recording's metadata says about its market, made to look freshly opened.

The metadata was fetched after settlement, so most of it gives the outcome away:
result, last prices, volumes, ``previous_*`` quotes (kalshi-api 28.14). Only the
fields named here pass, a list of what is known at the opening; a field that is
not named cannot leak. The result is kept apart and told at determination.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from libs.common.domain.grid import PriceGrid
from libs.common.domain.units import MalformedNumber, parse_price_e4
from libs.common.messages.market import BandV1
from services.simexchange.core.channel_bodies import NS_PER_MS, rfc3339
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec

KNOWN_AT_OPEN: Final = (
    "custom_strike",
    "floor_strike",
    "cap_strike",
    "strike_type",
    "rules_primary",
    "rules_secondary",
)
EVENT_KNOWN_AT_OPEN: Final = (
    "strike_period",
    "product_metadata",
    "settlement_sources",
    "available_on_brokers",
)
TIMES_AFTER_CLOSE: Final = (
    "expected_expiration_time",
    "latest_expiration_time",
    "expiration_time",
    "occurrence_datetime",
)
SETTLEMENT_TIMER_S_MAX: Final = 1.0


class MetadataMalformed(ValueError):  # noqa: N818 - named for what was found
    """A recording's metadata lacks something that a market needs."""


@dataclass(frozen=True, slots=True)
class TapeMarket:
    """One recorded market; times of the recording in Unix milliseconds."""

    series: SeriesSpec
    event: EventSpec
    market: str
    title: str
    yes_subtitle: str
    no_subtitle: str
    structure: str
    grid: PriceGrid
    open_ms: int
    close_ms: int
    determined_ms: int
    settlement_timer_s: float
    result: str
    value_e4: int
    extra: Mapping[str, object]
    after_close_ms: Mapping[str, int]

    def spec(self, open_ns: int, close_ns: int) -> MarketSpec:
        """Return the listing for a play from ``open_ns`` to ``close_ns``; the outcome is not in it."""
        moved = {k: rfc3339(close_ns + ms * NS_PER_MS) for k, ms in self.after_close_ms.items()}
        return MarketSpec(
            market=self.market,
            event=self.event.event,
            title=self.title,
            grid=self.grid,
            open_ns=open_ns,
            close_ns=close_ns,
            structure=self.structure,
            yes_subtitle=self.yes_subtitle,
            no_subtitle=self.no_subtitle,
            settlement_timer_s=min(self.settlement_timer_s, SETTLEMENT_TIMER_S_MAX),
            created_ns=open_ns,
            extra={**self.extra, **moved},
        )


def read_metadata(metadata: Mapping[str, Any], market: str) -> TapeMarket:
    """Return the market of this name from the recorded answer of ``GET /events/{ticker}``.

    Raises:
        MetadataMalformed: The market is not in it, or a field is missing or has another form.
    """
    try:
        answer = metadata["response"]
        event = answer["event"]
        found = next((m for m in answer["markets"] if m["ticker"] == market), None)
        if found is None:
            raise MetadataMalformed(f"metadata of {market}, was of {event.get('event_ticker')}")
        return _read(event, found)
    except (KeyError, TypeError, ValueError, MalformedNumber) as e:
        raise MetadataMalformed(f"{market}: {type(e).__name__} {e}") from e


def _read(event: Mapping[str, Any], found: Mapping[str, Any]) -> TapeMarket:
    market = str(found["ticker"])
    shard = int(found.get("exchange_index", 0))
    close_ms = _ms(found["close_time"])
    result = str(found["result"])
    if result not in {"yes", "no", "scalar"}:
        raise MetadataMalformed(f"{market}: settled result, was {result!r}")
    series = str(event["series_ticker"])
    category = str(event.get("category", ""))
    return TapeMarket(
        series=SeriesSpec(
            series=series, title=str(found.get("title", series)), category=category, shard=shard
        ),
        event=EventSpec(
            event=str(event["event_ticker"]),
            series=series,
            title=str(event.get("title", "")),
            subtitle=str(event.get("sub_title", "")),
            shard=shard,
            is_mutually_exclusive=bool(event.get("mutually_exclusive", False)),
            extra={k: event[k] for k in EVENT_KNOWN_AT_OPEN if k in event},
        ),
        market=market,
        title=str(found.get("title", "")),
        yes_subtitle=str(found.get("yes_sub_title", "")),
        no_subtitle=str(found.get("no_sub_title", "")),
        structure=str(found.get("price_level_structure", "")),
        grid=PriceGrid.of(
            tuple(
                BandV1(
                    start_e4=parse_price_e4(band["start"]),
                    end_e4=parse_price_e4(band["end"]),
                    step_e4=parse_price_e4(band["step"]),
                )
                for band in found["price_ranges"]
            )
        ),
        open_ms=_ms(found["open_time"]),
        close_ms=close_ms,
        determined_ms=max(close_ms, _ms(found.get("settlement_ts", found["close_time"]))),
        settlement_timer_s=float(found.get("settlement_timer_seconds", 0)),
        result=result,
        value_e4=parse_price_e4(found["settlement_value_dollars"]),
        extra={k: found[k] for k in KNOWN_AT_OPEN if k in found},
        after_close_ms={k: _ms(found[k]) - close_ms for k in TIMES_AFTER_CLOSE if k in found},
    )


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
