"""The asking half of a feed session: which commands make the venue send what is wanted.

It knows what is wanted, what was asked, and what is unanswered, and derives
commands from the difference. What came in is `session.py`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from libs.common.kalshi.subscription import ORDERBOOK, Subscription
from libs.common.kalshi.wire_feed import command

LIVENESS_NS: Final = 1_000_000_000
COMMAND_NS_MAX: Final = 15_000_000_000
SNAPSHOT_NS_MAX: Final = 5_000_000_000


@dataclass(slots=True)
class Pending:
    """A command that waits for its answer."""

    name: str
    channels: set[str] = field(default_factory=set)
    markets: Sequence[str] = ()
    sent_ns: int | None = None


class Subscriber:
    """Wanted and told subscriptions of one connection, and the commands between them."""

    def __init__(self, channels: Sequence[str], *, use_yes_price: bool, tickers_per_command: int) -> None:
        self._use_yes_price = use_yes_price
        self._chunk = tickers_per_command
        self.subs = {channel: Subscription(channel) for channel in channels}
        self.by_sid: dict[int, Subscription] = {}
        self.retired: set[int] = set()
        self._pending: dict[int, Pending] = {}
        self._out: list[bytes] = []
        self._number = 0
        self._listed_ns: int | None = None
        self._is_open = False

    @property
    def markets(self) -> tuple[str, ...]:
        """Return the wanted markets."""
        wanted: dict[str, None] = {}
        for sub in self.subs.values():
            wanted.update(sub.markets)
        return tuple(wanted)

    @property
    def is_all_unfiltered(self) -> bool:
        """Return whether every channel hears everything that is its own, whatever the market."""
        return not any(sub.is_filtered for sub in self.subs.values())

    @property
    def is_all_subscribed(self) -> bool:
        """Return whether every channel has its id on this connection."""
        return all(sub.sid is not None for sub in self.subs.values())

    def open(self, markets: Iterable[str] | None) -> None:
        """Begin on a new connection, with these markets or those of before."""
        self.close()
        self._is_open = True
        wanted = None if markets is None else dict.fromkeys(markets)
        for sub in self.subs.values():
            if wanted is not None and sub.is_filtered:
                sub.markets = dict(wanted)
        self._subscribe([sub for sub in self.subs.values() if not sub.is_filtered])
        self._subscribe([sub for sub in self.subs.values() if sub.is_filtered and sub.markets])

    def close(self) -> None:
        """Forget everything but the wishes."""
        for sub in self.subs.values():
            sub.end()
        self.by_sid.clear()
        self.retired.clear()
        self._pending.clear()
        self._out.clear()
        self._number = 0
        self._listed_ns = None
        self._is_open = False

    @property
    def has_commands(self) -> bool:
        """Return whether commands wait to be sent."""
        return bool(self._out)

    def commands(self) -> list[bytes]:
        """Return and forget the commands to send."""
        out, self._out = self._out, []
        return out

    def add(self, markets: Iterable[str]) -> None:
        """Want more markets."""
        added = dict.fromkeys(markets)
        for sub in self.subs.values():
            if sub.is_filtered:
                sub.markets.update(added)
                self.sync(sub)

    def remove(self, markets: Iterable[str]) -> None:
        """Want these markets no more."""
        removed = list(markets)
        for sub in self.subs.values():
            if sub.is_filtered:
                for market in removed:
                    sub.markets.pop(market, None)
                    sub.live.discard(market)
                self.sync(sub)

    def tick(self, now_ns: int) -> str | None:
        """Ask for a sign of life and for missing snapshots; return what was never answered, if anything."""
        if not self._is_open:
            return None
        for pending in self._pending.values():
            if pending.sent_ns is None:
                pending.sent_ns = now_ns
            elif now_ns - pending.sent_ns > COMMAND_NS_MAX:
                return f"{pending.name}_unanswered"
        if self._listed_ns is None or now_ns - self._listed_ns >= LIVENESS_NS:
            self._listed_ns = now_ns
            if not any(p.name == "list_subscriptions" for p in self._pending.values()):
                self._send("list_subscriptions", None, Pending("list_subscriptions"))
        book = self.subs.get(ORDERBOOK)
        if book is not None and book.sid is not None:
            self._ask_missing(book, now_ns)
        return None

    def begin(self, channel: str, sid: int, number: int | None) -> Subscription | None:
        """Take the venue's id of a channel; None if the channel is not ours."""
        sub = self.subs.get(channel)
        if sub is None:
            return None
        pending = self._pending.get(number or 0)
        if pending is not None:
            pending.channels.discard(channel)
            if not pending.channels:
                del self._pending[number or 0]
        if sub.sid != sid:
            if sub.sid is not None:
                self.retire(sub)
            sub.begin(sid)
            self.by_sid[sid] = sub
        self.sync(sub)
        return sub

    def answered(self, number: int | None) -> Pending | None:
        """Take the pending command that an answer is for."""
        pending = self._pending.pop(number, None) if number else None
        if pending is not None and pending.name == "unsubscribe":
            # Also after an error: an id the venue does not know is as good as unsubscribed.
            for channel in pending.channels:
                self.subs[channel].is_asking = False
                self.sync(self.subs[channel])
        return pending

    def retire(self, sub: Subscription) -> None:
        """Forget a subscription's id; frames under it are late ones from now on."""
        if sub.sid is not None:
            self.by_sid.pop(sub.sid, None)
            self.retired.add(sub.sid)
        sub.end()

    def renew(self, sub: Subscription) -> None:
        """Drop a subscription that still runs at the venue; `answered` makes it anew."""
        sid = sub.sid
        self.retire(sub)
        sub.is_asking = True
        self._send("unsubscribe", {"sids": [sid]}, Pending("unsubscribe", {sub.channel}))

    def refuse(self, pending: Pending) -> None:
        """Give up markets that the venue refused to add."""
        for channel in pending.channels:
            for market in pending.markets:
                self.subs[channel].markets.pop(market, None)
                self.subs[channel].told.discard(market)

    def sync(self, sub: Subscription) -> None:
        """Ask for what is wanted and not told, and take back what is told and not wanted."""
        if not self._is_open or sub.is_asking:
            return
        if sub.sid is None:
            if sub.markets or not sub.is_filtered:
                self._subscribe([sub])
            return
        if not sub.is_filtered:
            return
        if not sub.markets:
            # An empty list would mean every market of the venue.
            self.renew(sub)
            return
        self._update(sub, "delete_markets", [m for m in sub.told if m not in sub.markets])
        sub.told.intersection_update(sub.markets)
        missing = [m for m in sub.markets if m not in sub.told]
        self._update(sub, "add_markets", missing)
        sub.told.update(missing)

    def _subscribe(self, subs: list[Subscription]) -> None:
        if not subs:
            return
        params: dict[str, Any] = {"channels": [sub.channel for sub in subs]}
        if subs[0].is_filtered:
            # The filtered channels want the same markets; the rest of a long list follows by
            # `add_markets` once the sid is known.
            first = list(subs[0].markets)[: self._chunk]
            params["market_tickers"] = first
            params["use_yes_price"] = self._use_yes_price
            params["skip_ticker_ack"] = True
            for sub in subs:
                sub.told = set(first)
        for sub in subs:
            sub.is_asking = True
        self._send("subscribe", params, Pending("subscribe", {sub.channel for sub in subs}))

    def _update(self, sub: Subscription, action: str, markets: list[str]) -> None:
        for start in range(0, len(markets), self._chunk):
            part = markets[start : start + self._chunk]
            params = {"sid": sub.sid, "action": action, "market_tickers": part}
            # A snapshot request is answered by the snapshots themselves and by no reply.
            pending = None if action == "get_snapshot" else Pending(action, {sub.channel}, part)
            self._send("update_subscription", params, pending)

    def _ask_missing(self, book: Subscription, now_ns: int) -> None:
        missing = book.awaits
        if not missing or book.asked_ns is None:
            book.asked_ns = now_ns
        elif now_ns - book.asked_ns > SNAPSHOT_NS_MAX:
            book.asked_ns = now_ns
            self._update(book, "get_snapshot", missing)

    def _send(self, name: str, params: dict[str, Any] | None, pending: Pending | None) -> None:
        self._number += 1
        if pending is not None:
            self._pending[self._number] = pending
        self._out.append(command(self._number, name, params))
