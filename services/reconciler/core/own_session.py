"""One connection of the drop copy, without the socket: frames in, events and commands out.

It subscribes to the three private channels, asks for a sign of life each second,
and reads every frame by `own_wire.py`. The rules of the file:

1. The feed is whole once every channel has answered; before that nothing counts
   as heard.
2. A frame of a private channel that cannot be read ends the connection. What it
   said is not known, so the drop copy has not heard, and says so, until it has
   connected again.
3. A type that is none of ours is counted and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from libs.common.kalshi.model import FeedClosed, FeedEvent, FeedHeard, OwnFill, OwnOrder, OwnPosition
from services.reconciler.core.own_wire import (
    Head,
    UnreadableFrame,
    error_of,
    fill_of,
    head_of,
    order_of,
    position_of,
    subscribed_of,
)

CHANNELS: Final = ("fill", "user_orders", "market_positions")
FRAME_LENGTH_MAX: Final = 8 * 1024 * 1024
LIVENESS_NS: Final = 1_000_000_000
UNANSWERED_NS_MAX: Final = 15_000_000_000

_SUBSCRIBE: Final = 1
_READS: Final[Mapping[str, Callable[[Head], OwnFill | OwnOrder | OwnPosition]]] = {
    "fill": fill_of,
    "user_order": order_of,
    "market_position": position_of,
}
_REPLIES: Final = frozenset({"ok", "unsubscribed"})
_encode: Final = msgspec.json.encode


class OwnSession:
    """What is subscribed on one connection, and what was heard; `run_feed` keeps it connected."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        """Frames that said nothing, by kind; kept over reconnects."""
        self.failure: str | None = None
        """Why the connection is of no more use."""
        self._awaited: set[str] = set(CHANNELS)
        self._out: list[bytes] = []
        self._unanswered: dict[int, int | None] = {}
        self._number = 0
        self._asked_ns: int | None = None
        self._heard_ms = 0

    @property
    def has_commands(self) -> bool:
        """Return whether `commands` would return any."""
        return bool(self._out)

    def add_markets(self, markets: Iterable[str]) -> None:
        """Do nothing: private channels tell of every market."""

    def open(self) -> list[bytes]:
        """Begin on a new connection and return the first command."""
        self._reset()
        self._ask("subscribe", {"channels": list(CHANNELS)})
        return self.commands()

    def commands(self) -> list[bytes]:
        """Return and forget the commands that are to be sent."""
        out, self._out = self._out, []
        return out

    def close(self, reason: str) -> list[FeedEvent]:
        """End the connection: everything it told is history."""
        self._reset()
        return [FeedClosed(reason)]

    def tick(self, now_ns: int) -> None:
        """Ask for a sign of life and notice silence; ``now_ns`` is monotonic."""
        for number, sent_ns in self._unanswered.items():
            if sent_ns is None:
                self._unanswered[number] = now_ns
            elif now_ns - sent_ns > UNANSWERED_NS_MAX:
                self.failure = "a command was never answered"
                return
        if self._asked_ns is None or now_ns - self._asked_ns >= LIVENESS_NS:
            self._asked_ns = now_ns
            if not self._unanswered:
                self._ask("list_subscriptions", None)

    def receive(self, frame: bytes | str, now_ns: int) -> list[FeedEvent]:
        """Return what a frame says, in our units; ``now_ns`` is its monotonic arrival."""
        del now_ns
        if len(frame) > FRAME_LENGTH_MAX:
            return self._unreadable("oversize frame")
        try:
            head = head_of(frame)
            return [*self._content(head), *self._heard(head.sending_ts_ms)]
        except UnreadableFrame as e:
            return self._unreadable(f"unreadable frame: {e}")

    def _content(self, head: Head) -> list[FeedEvent]:
        read = _READS.get(head.type)
        if read is not None:
            return [read(head)]
        if head.type == "subscribed":
            self._awaited.discard(subscribed_of(head).channel)
            if not self._awaited:
                self._unanswered.pop(_SUBSCRIBE, None)
        elif head.type == "error":
            self.faults["error"] += 1
            self.failure = error_of(head)
        elif head.type in _REPLIES:
            if head.id is not None:
                self._unanswered.pop(head.id, None)
            if head.type == "unsubscribed":
                self.failure = "unsubscribed"
        else:
            self.faults["unknown_type"] += 1
        return []

    def _heard(self, stamp_ms: int | None) -> list[FeedEvent]:
        if self._awaited or self.failure is not None or stamp_ms is None or stamp_ms <= self._heard_ms:
            return []
        self._heard_ms = stamp_ms
        return [FeedHeard(stamp_ms)]

    def _unreadable(self, reason: str) -> list[FeedEvent]:
        self.faults["unreadable"] += 1
        self.failure = reason
        return []

    def _ask(self, command: str, params: Mapping[str, object] | None) -> None:
        self._number += 1
        self._unanswered[self._number] = None
        body: dict[str, object] = {"id": self._number, "cmd": command}
        self._out.append(_encode(body if params is None else body | {"params": params}))

    def _reset(self) -> None:
        self.failure = None
        self._awaited = set(CHANNELS)
        self._out.clear()
        self._unanswered.clear()
        self._number = 0
        self._asked_ns = None
        self._heard_ms = 0
