"""Recorded tapes as feed events (format: README of the recordings)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4, parse_price_e4, parse_qty_e2
from libs.common.kalshi.model import BookDelta, BookSnapshot, PublicTrade
from tests.support.shared import shared_dir

TapeEvent = BookSnapshot | BookDelta | PublicTrade


def tape_path(market: str) -> Path:
    """Return the recording of a 15-minute gold market."""
    return next((shared_dir() / "data" / "kalshi-gold15m" / "events" / market).glob("*.ndjson.gz"))


def tape_events(market: str) -> Iterator[tuple[int, TapeEvent]]:
    """Yield exchange time in milliseconds and event; snapshots take the time of what came before."""
    at_ms = 0
    with gzip.open(tape_path(market), "rt") as lines:
        for line in lines:
            record = json.loads(line)
            event, msg = record["event"], record["event"]["msg"]
            at_ms = msg.get("ts_ms", at_ms or record["recv_ms"])
            if event["type"] == "orderbook_snapshot":
                bids = tuple(
                    (int(parse_price_e4(p)), int(parse_qty_e2(q))) for p, q in msg.get("yes_dollars_fp", ())
                )
                asks = tuple(
                    (DOLLAR_E4 - parse_price_e4(p), int(parse_qty_e2(q)))
                    for p, q in msg.get("no_dollars_fp", ())
                )
                yield at_ms, BookSnapshot(market, bids, asks, 0, at_ms)
            elif event["type"] == "orderbook_delta":
                price = parse_price_e4(msg["price_dollars"])
                side = Side.BID if msg["side"] == "yes" else Side.ASK
                price_e4 = int(price) if side is Side.BID else DOLLAR_E4 - price
                yield at_ms, BookDelta(market, side, price_e4, parse_qty_e2(msg["delta_fp"]), 0, at_ms)
            elif event["type"] == "trade":
                taker = Side.BID if msg["taker_book_side"] == "bid" else Side.ASK
                price_e4 = parse_price_e4(msg["yes_price_dollars"])
                qty_e2 = parse_qty_e2(msg["count_fp"])
                yield at_ms, PublicTrade(market, msg["trade_id"], price_e4, qty_e2, taker, at_ms)
