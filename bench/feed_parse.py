"""How many order-book deltas a second one core decodes, counts and hands on: the feed session alone.

python -m bench.feed_parse [frames]
"""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import msgspec

from libs.common.domain.units import format_price, format_qty
from libs.common.kalshi.session import FeedSession

MARKETS = 500
ROUNDS = 5


def frames(count: int) -> list[bytes]:
    """Return a snapshot of every market and then so many deltas, as the venue writes them."""
    rng = random.Random(1)
    names = [f"KXBENCH-26NOV21-T{n}.5" for n in range(MARKETS)]
    made: list[dict[str, Any]] = [
        {"type": "orderbook_snapshot", "msg": {"market_ticker": name, "market_id": "u", "clock": 1}}
        for name in names
    ]
    for n in range(count):
        body = {
            "market_ticker": rng.choice(names),
            "market_id": "9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1",
            "clock": n,
            "price_dollars": format_price(rng.randrange(100, 10_000, 10)),
            "delta_fp": format_qty(rng.randrange(-100_000, 100_000)),
            "side": rng.choice(["yes", "no"]),
            "ts": "2026-11-21T20:44:01.123456Z",
            "ts_ms": 1_763_757_841_123 + n // 10,
        }
        made.append({"type": "orderbook_delta", "sending_ts_ms": 1_763_757_841_124 + n // 10, "msg": body})
    return [msgspec.json.encode({**frame, "sid": 1, "seq": seq}) for seq, frame in enumerate(made, 1)]


def main() -> None:
    """Measure and print the best and the median of the rounds."""
    made = frames(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
    greeting = b'{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":1}}'
    rates = []
    for _ in range(ROUNDS):
        session = FeedSession(("orderbook_delta",))
        session.open(f"KXBENCH-26NOV21-T{n}.5" for n in range(MARKETS))
        session.receive(greeting, 0)
        receive = session.receive
        began = time.perf_counter()
        told = sum(len(receive(frame, 0)) for frame in made)
        rates.append(len(made) / (time.perf_counter() - began))
        assert told >= len(made), told
        assert not session.faults, session.faults
    rates.sort()
    print(
        f"{rates[ROUNDS // 2]:,.0f} frames/s (best {rates[-1]:,.0f}), {1e6 / rates[ROUNDS // 2]:.2f} us each"
    )


if __name__ == "__main__":
    main()
