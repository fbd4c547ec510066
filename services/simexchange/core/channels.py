"""Subscriptions of all connections, without a socket: commands in, messages out.

A :class:`Session` is one connection, a :class:`Subscription` one sid of it. The
:class:`Hub` knows who listens to what; it takes the venue's events and leaves
finished messages in each session's ``out``, in order, for the shell to send.
The rules of the file (kalshi-api 23):

* sids count from 1 per connection; one sid a channel, and a repeated subscribe
  widens it. ``subscribed`` comes before any data of its sid and has no sequence.
* Sequenced channels count every message of a sid from 1 without a hole, over
  all its markets, replies and requested snapshots included.
* A body is written once for all listeners of one price scale and stamped with
  sid, sequence and time for each.
* Private events reach connections of their account and nobody else.

Every message ends with a newline and is one frame of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.simexchange.core import channel_bodies as bodies
from services.simexchange.core.audience import Listeners, VenueView, send_snapshot
from services.simexchange.core.commands import Commands
from services.simexchange.core.events import (
    BookReset,
    Event,
    EventLifecycle,
    FeeChanged,
    Filled,
    GroupChanged,
    LevelChanged,
    LifecycleChanged,
    MarketTouched,
    OrderChanged,
    PositionChanged,
    Traded,
)
from services.simexchange.core.subscriptions import (
    BOOK,
    CHANNELS,
    FILL,
    GROUPS,
    LIFECYCLE,
    ORDERS,
    POSITIONS,
    TICKER,
    TRADE,
    Session,
    Subscription,
)


class Hub:
    """All sessions; see the module."""

    def __init__(self, venue: VenueView) -> None:
        self._venue = venue
        self.sessions: set[Session] = set()
        self._listeners = {channel: Listeners() for channel in CHANNELS}
        self._commands = Commands(venue, self._listeners)
        self._on: dict[type, Callable[[Any, int], None]] = {
            LevelChanged: self._level,
            BookReset: self._reset,
            Traded: self._trade,
            Filled: self._fill,
            OrderChanged: self._order,
            PositionChanged: self._position,
            GroupChanged: self._group,
            LifecycleChanged: self._lifecycle,
            EventLifecycle: self._event,
            FeeChanged: self._fees,
        }

    # Connections -----------------------------------------------------------------------------------

    def open(self, account: str) -> Session:
        """Begin a connection of this member."""
        session = Session(account)
        self.sessions.add(session)
        return session

    def close(self, session: Session) -> None:
        """Forget the connection and everything it listened to."""
        self.sessions.discard(session)
        for subscription in session.by_sid.values():
            self._listeners[subscription.channel].drop(subscription, subscription.markets)
        session.by_sid.clear()
        session.by_channel.clear()

    def overflow(self, session: Session, now_ms: int) -> None:
        """End every subscription with the terminal error of a reader that is too slow."""
        for subscription in session.by_sid.values():
            session.error(now_ms, 0, 25, subscription)
        self.close(session)

    def skip_sequence(self) -> None:
        """Lose one number on every sequenced sid, as a lost message would (a fault for tests)."""
        for session in self.sessions:
            for subscription in session.by_sid.values():
                if subscription.is_sequenced:
                    subscription.seq += 1

    def receive(self, session: Session, frame: str | bytes, now_ms: int) -> None:
        """Do one command of a connection; the caller has published every earlier event."""
        self._commands.receive(session, frame, now_ms)

    # Events ----------------------------------------------------------------------------------------

    def publish(self, events: Iterable[Event], now_ms: int) -> None:
        """Turn events into messages; what a ticker shows is sent once per call and market."""
        touched: dict[str, int] = {}
        for event in events:
            if isinstance(event, MarketTouched):
                touched[event.market] = event.venue_ms
            else:
                self._on[type(event)](event, now_ms)
        if touched:
            self._tickers(touched, now_ms)

    def _level(self, event: LevelChanged, now_ms: int) -> None:
        listeners = self._listeners[BOOK].by_market.get(event.market)
        if not listeners:
            return
        market_id = self._venue.markets[event.market].market_id
        written: dict[tuple[bool, bool], bytes] = {}
        for subscription in listeners:
            is_own = bool(event.account) and subscription.account == event.account
            variant = (subscription.use_yes_price, is_own)
            body = written.get(variant)
            if body is None:
                body = bodies.level(event, market_id, use_yes_price=variant[0], is_own=is_own)
                written[variant] = body
            subscription.seq += 1
            subscription.out.append(
                b'{"type":"orderbook_delta","sid":%d,"seq":%d,"sending_ts_ms":%d,"msg":%b}\n'
                % (subscription.sid, subscription.seq, now_ms, body)
            )

    def _reset(self, event: BookReset, now_ms: int) -> None:
        for subscription in self._listeners[BOOK].of(event.market):
            send_snapshot(self._venue, subscription, event.market, now_ms)

    def _trade(self, event: Traded, now_ms: int) -> None:
        if listeners := self._listeners[TRADE].of(event.market):
            self._send(listeners, "trade", bodies.trade(event), now_ms)

    def _fill(self, event: Filled, now_ms: int) -> None:
        if listeners := self._own(FILL, event.account, event.market):
            self._send(listeners, "fill", bodies.fill(event), now_ms)

    def _order(self, event: OrderChanged, now_ms: int) -> None:
        if listeners := self._own(ORDERS, event.account, event.order.market):
            body = bodies.user_order(event, self._venue.accounts[event.account].user_id)
            self._send(listeners, "user_order", body, now_ms)

    def _position(self, event: PositionChanged, now_ms: int) -> None:
        if listeners := self._own(POSITIONS, event.account, event.market):
            body = bodies.position(event, self._venue.accounts[event.account].user_id)
            self._send(listeners, "market_position", body, now_ms)

    def _group(self, event: GroupChanged, now_ms: int) -> None:
        if listeners := self._own(GROUPS, event.account, ""):
            self._send(listeners, "order_group_updates", bodies.group(event), now_ms)

    def _lifecycle(self, event: LifecycleChanged, now_ms: int) -> None:
        if listeners := self._listeners[LIFECYCLE].everywhere:
            self._send(listeners, "market_lifecycle_v2", bodies.lifecycle(event), now_ms)

    def _event(self, event: EventLifecycle, now_ms: int) -> None:
        if listeners := self._listeners[LIFECYCLE].everywhere:
            self._send(listeners, "event_lifecycle", bodies.event_lifecycle(event), now_ms)

    def _fees(self, event: FeeChanged, now_ms: int) -> None:
        if listeners := self._listeners[LIFECYCLE].everywhere:
            self._send(listeners, "event_fee_update", bodies.fee_update(event), now_ms)

    def _tickers(self, touched: Mapping[str, int], now_ms: int) -> None:
        tickers = self._listeners[TICKER]
        if not tickers.everywhere and not tickers.by_market:
            return
        for name, venue_ms in touched.items():
            if listeners := tickers.of(name):
                self._send(listeners, "ticker", bodies.ticker(self._venue.markets[name], venue_ms), now_ms)

    def _own(self, channel: str, account: str, market: str) -> list[Subscription]:
        return [s for s in self._listeners[channel].of(market) if s.account == account]

    @staticmethod
    def _send(listeners: Iterable[Subscription], kind: str, body: bytes, now_ms: int) -> None:
        for subscription in listeners:
            subscription.send(kind, body, now_ms)
