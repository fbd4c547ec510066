"""Read a recorded order book: one line a message, in, one compact event, out.

The format is that of `kalshi-gold15m`: ``{"recv_ms", "event"}`` with snapshots,
deltas and trades as they came over the wire, NO levels at NO prices. Here every
price becomes a YES price, and events go on the exchange's clock, made monotone;
a snapshot has no stamp of the exchange and takes the one of its neighbours.

A trade is announced on another channel than the level change it caused, so a
recording has them in either order, a few lines apart, with the same exchange
millisecond. The reader puts the trade first: a book can then tell a reduction
by trade from a cancel, which decides queue places. Level changes keep their
recorded order, and so do trades of one level; nothing is dropped or merged.

A jump of ``seq`` is no gap (the recorder followed other markets too), so it is
not read at all. Lines are parsed as they are needed: a tape of any length takes
a window of memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

import msgspec

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4, MalformedNumber, parse_price_e4, parse_qty_e2

WINDOW_EVENTS: Final = 256
"""A trade and its level change were at most 49 lines apart in the recordings we have."""


class TapeMalformed(ValueError):  # noqa: N818 - named for what was found
    """A line of a recording is not what the format says."""


class TapeSnapshot(msgspec.Struct, frozen=True, gc=False):
    """The whole book; YES prices on both sides, any order."""

    tape_ms: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class TapeDelta(msgspec.Struct, frozen=True, gc=False):
    """A signed change of one level; YES price."""

    tape_ms: int
    side: Side
    price_e4: int
    change_e2: int


class TapeTrade(msgspec.Struct, frozen=True, gc=False):
    """A public trade; YES price."""

    tape_ms: int
    taker_side: Side
    price_e4: int
    qty_e2: int


TapeEvent = TapeSnapshot | TapeDelta | TapeTrade


class _Message(msgspec.Struct, gc=False):
    yes_dollars_fp: list[tuple[str, str]] = []
    no_dollars_fp: list[tuple[str, str]] = []
    price_dollars: str = ""
    delta_fp: str = ""
    side: str = ""
    yes_price_dollars: str = ""
    count_fp: str = ""
    taker_side: str = ""
    ts_ms: int = 0


class _Event(msgspec.Struct, gc=False):
    type: str
    msg: _Message


class _Line(msgspec.Struct, gc=False):
    recv_ms: int
    event: _Event


_decode = msgspec.json.Decoder(_Line).decode
_price = lru_cache(maxsize=1 << 14)(parse_price_e4)
_qty = lru_cache(maxsize=1 << 16)(parse_qty_e2)


def read_tape(lines: Iterable[bytes], name: str = "tape") -> Iterator[TapeEvent]:
    """Yield the events of one recording in play order; ``tape_ms`` never falls.

    Raises:
        TapeMalformed: A line has another form; the message names tape and line.
    """
    window: deque[TapeEvent] = deque()
    last_ms = 0
    for number, line in enumerate(lines, 1):
        try:
            row = _decode(line)
            event = _parse(row, last_ms)
        except (msgspec.DecodeError, MalformedNumber, KeyError) as e:
            raise TapeMalformed(f"{name}, line {number}: {e}") from e
        if event.tape_ms and not last_ms and window:
            # What stands before the first stamp happened at it, as far as anybody knows.
            window = deque(msgspec.structs.replace(early, tape_ms=event.tape_ms) for early in window)
        last_ms = event.tape_ms
        if isinstance(event, TapeTrade):
            _insert(window, event)
        else:
            window.append(event)
        if len(window) > WINDOW_EVENTS:
            yield window.popleft()
    yield from window


def _parse(row: _Line, last_ms: int) -> TapeEvent:
    message = row.event.msg
    tape_ms = max(last_ms, message.ts_ms)
    match row.event.type:
        case "orderbook_delta":
            price_e4 = _price(message.price_dollars)
            if message.side == "yes":
                return TapeDelta(tape_ms, Side.BID, price_e4, _qty(message.delta_fp))
            return TapeDelta(tape_ms, Side.ASK, DOLLAR_E4 - price_e4, _qty(message.delta_fp))
        case "trade":
            taker = Side.BID if message.taker_side == "yes" else Side.ASK
            return TapeTrade(tape_ms, taker, _price(message.yes_price_dollars), _qty(message.count_fp))
        case "orderbook_snapshot":
            return TapeSnapshot(
                tape_ms,
                tuple((_price(p), _qty(q)) for p, q in message.yes_dollars_fp),
                tuple((DOLLAR_E4 - _price(p), _qty(q)) for p, q in message.no_dollars_fp),
            )
        case other:
            raise KeyError(f"snapshot, delta or trade, was {other!r}")


def _insert(window: deque[TapeEvent], trade: TapeTrade) -> None:
    """Put the trade before the first reduction of its level in the same millisecond, else at the end."""
    maker_side = trade.taker_side.opposite
    place: int | None = None
    for index in range(len(window) - 1, -1, -1):
        event = window[index]
        if event.tape_ms != trade.tape_ms or isinstance(event, TapeSnapshot):
            break
        if (
            isinstance(event, TapeDelta)
            and event.side is maker_side
            and event.price_e4 == trade.price_e4
            and event.change_e2 < 0
        ):
            place = index
    if place is None:
        window.append(trade)
    else:
        window.insert(place, trade)
