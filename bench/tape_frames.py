"""The densest recorded tape as the frames that one of our sessions would receive.

Numbers are counted anew (the recorder followed many markets on one
subscription), NO prices are put on the YES scale as `use_yes_price` asks, and
every frame keeps the exchange's stamp. Nothing is dropped or merged.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DENSEST = "KXGOLD15M-26AUG102130-30"


@dataclass(frozen=True, slots=True)
class TapeFrames:
    """Frames in order, with the exchange's milliseconds of each."""

    market: str
    frames: list[bytes]
    stamps_ms: list[int]
    deltas: int


def shared_dir() -> Path:
    """Return where the recorded data lies: `DORA_SHARED_DIR`, else beside the checkout."""
    return Path(os.environ.get("DORA_SHARED_DIR", Path(__file__).parents[2] / "shared"))


def tape_path(market: str = DENSEST) -> Path | None:
    """Return the tape's file, or None where the data is absent."""
    folder = shared_dir() / "data" / "kalshi-gold15m" / "events" / market
    return next(iter(sorted(folder.glob("*.ndjson.gz"))), None)


def load(path: Path) -> TapeFrames:
    """Read one tape."""
    frames: list[bytes] = [
        b'{"id":1,"type":"subscribed","msg":{"channel":"orderbook_delta","sid":1}}',
        b'{"id":1,"type":"subscribed","msg":{"channel":"trade","sid":2}}',
    ]
    stamps: list[int] = [0, 0]
    sequence = {1: 0, 2: 0}
    deltas = 0
    market = ""
    now_ms = 0
    with gzip.open(path, "rb") as lines:
        for line in lines:
            record: dict[str, Any] = json.loads(line)
            event = record["event"]
            message = event["msg"]
            market = message["market_ticker"]
            now_ms = max(now_ms, int(message.get("ts_ms", record["recv_ms"])))
            kind = event["type"]
            sid = 2 if kind == "trade" else 1
            sequence[sid] += 1
            if kind == "orderbook_delta":
                deltas += 1
                if message["side"] == "no":
                    message["price_dollars"] = _flip(message["price_dollars"])
            elif kind == "orderbook_snapshot":
                levels = message.get("no_dollars_fp", [])
                message["no_dollars_fp"] = [[_flip(price), count] for price, count in levels]
                message["clock"] = 0
            frame = {"type": kind, "sid": sid, "seq": sequence[sid], "sending_ts_ms": now_ms, "msg": message}
            frames.append(json.dumps(frame, separators=(",", ":")).encode())
            stamps.append(now_ms)
    stamps[:2] = [stamps[2]] * 2
    return TapeFrames(market, frames, stamps, deltas)


def _flip(price: str) -> str:
    return f"{1 - float(price):.4f}"
