"""Made-up recordings in the format of the real ones, for tests that must not need those."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MARKET = "KXT-1-00"
CLOSE_MS = 1_785_988_800_000
"""2026-08-06T04:00:00Z, as in the metadata."""
OPEN_MS = CLOSE_MS - 900_000


def metadata(**changes: object) -> dict[str, Any]:
    """Return the recorded answer for the event of `MARKET`, with what differs in the market."""
    market = {
        "ticker": MARKET,
        "title": "Up?",
        "yes_sub_title": "Target: 5",
        "no_sub_title": "TBD",
        "open_time": "2026-08-06T03:45:00Z",
        "close_time": "2026-08-06T04:00:00Z",
        "expiration_time": "2026-08-06T05:00:00Z",
        "settlement_ts": "2026-08-06T04:00:04.134979Z",
        "settlement_timer_seconds": 60,
        "price_level_structure": "linear_cent",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "floor_strike": 5.0,
        "strike_type": "greater_or_equal",
        "result": "yes",
        "settlement_value_dollars": "1.0000",
        "expiration_value": "OUTCOME",
        "last_price_dollars": "0.9900",
        "previous_yes_bid_dollars": "0.9700",
        "volume_fp": "49826.72",
        "open_interest_fp": "22032.79",
        "status": "finalized",
        **changes,
    }
    event = {"event_ticker": "KXT-1", "series_ticker": "KXT", "title": "Gold", "mutually_exclusive": False}
    return {"response": {"event": event, "markets": [market]}}


def line(kind: str, recv_ms: int = 1, **msg: object) -> bytes:
    """Return one recorded line."""
    return json.dumps({"recv_ms": recv_ms, "event": {"type": kind, "sid": 1, "seq": 7, "msg": msg}}).encode()


def delta(price: str, change: str, side: str = "yes", ts_ms: int = OPEN_MS) -> bytes:
    """Return a recorded level change; a NO level at its NO price."""
    return line("orderbook_delta", price_dollars=price, delta_fp=change, side=side, ts_ms=ts_ms)


def trade(yes_price: str, count: str, taker: str, ts_ms: int = OPEN_MS) -> bytes:
    """Return a recorded trade."""
    return line("trade", yes_price_dollars=yes_price, count_fp=count, taker_side=taker, ts_ms=ts_ms)


def snapshot(yes: Iterable[tuple[str, str]] = (), no: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return a recorded snapshot."""
    return line("orderbook_snapshot", yes_dollars_fp=list(yes), no_dollars_fp=list(no))


def busy_lines(count: int, *, seed: int = 1, ms_between: int = 10, from_ms: int = OPEN_MS) -> list[bytes]:
    """Return a snapshot and so many changes of levels that never cross, all within the market's life."""
    rng = random.Random(seed)
    lines = [snapshot([("0.4000", "500.00")], [("0.4000", "500.00")])]
    for i in range(count):
        # YES bids up to 0.45 and NO bids up to 0.45: the best ask is 0.55.
        price = f"0.{rng.randint(10, 45):02d}00"
        side = "yes" if rng.random() < 0.5 else "no"
        change = f"{rng.randint(1, 90)}.{rng.randint(0, 99):02d}"
        lines.append(
            delta(price, change if rng.random() < 0.7 else f"-{change}", side, from_ms + i * ms_between)
        )
    return lines


def write_recording(folder: Path, lines: Iterable[bytes], **changes: object) -> Path:
    """Write a collection with one market and return its folder."""
    market = folder / "events" / MARKET
    market.mkdir(parents=True)
    with gzip.open(market / "2026-08-06.ndjson.gz", "wb") as file:
        for row in lines:
            file.write(row + b"\n")
    (folder / "metadata").mkdir()
    (folder / "metadata" / "KXT-1.json").write_text(json.dumps(metadata(**changes)))
    return folder
