"""Lenses for a real simulated exchange that runs in the test's process: its feed and its reads, made to lie.

The frames are changed as they leave, the reads as the venue's own read view
answers, so that whoever asks gets the lie over a real socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from services.simexchange.core.accounts import Account
from services.simexchange.core.events import Filled
from services.simexchange.core.orders import Order
from services.simexchange.core.read_view import PositionRead
from services.simexchange.wiring import Exchange

Frame = dict[str, Any]


class FeedLens:
    """Changes every frame that the exchange sends; without a change it is honest."""

    def __init__(self, exchange: Exchange) -> None:
        self.change: Callable[[Frame], Iterable[Frame | bytes]] = lambda frame: (frame,)
        face: Any = exchange.face
        write = face._write

        def lens(line: Any) -> None:
            out = line.session.out
            out[:] = [_bytes(told) for frame in out for told in self.change(msgspec.json.decode(frame))]
            write(line)

        face._write = lens


class ReadsLens:
    """Changes what listings of one account show; without a change they are honest."""

    def __init__(self, exchange: Exchange, account: str) -> None:
        self.orders: Callable[[list[Order]], list[Order]] = _same
        self.fills: Callable[[list[Filled]], list[Filled]] = _same
        self.positions: Callable[[list[PositionRead]], list[PositionRead]] = _same
        self.cash_e6: Callable[[dict[int, int]], dict[int, int]] = _same
        # With the smallest lag there is, everything is answered through the read view.
        exchange.venue.set_read_lag(1, 0)
        reads: Any = exchange.venue.floor.reads
        for name in ("orders", "fills", "positions", "cash_e6"):
            setattr(reads, name, self._lens(name, getattr(reads, name), account))

    def _lens(self, name: str, honest: Callable[[Account, int], Any], account: str) -> Callable[..., Any]:
        def read(asked: Account, now_ns: int) -> Any:
            told = honest(asked, now_ns)
            return getattr(self, name)(told) if asked.name == account else told

        return read


def _same(told: Any) -> Any:
    return told


def _bytes(frame: Frame | bytes) -> bytes:
    return frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
