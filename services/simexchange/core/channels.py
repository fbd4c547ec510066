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

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from services.simexchange.core import channel_bodies as bodies
from services.simexchange.core.accounts import Account
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
from services.simexchange.core.markets import Market
from services.simexchange.core.subscriptions import (
    BOOK,
    CHANNELS,
    FILL,
    FILTERED,
    GROUPS,
    LIFECYCLE,
    MARKETS_MAX,
    ORDERS,
    POSITIONS,
    TICKER,
    TRADE,
    CommandError,
    Session,
    Subscription,
)


class VenueView(Protocol):
    """What the channels read of the venue."""

    @property
    def markets(self) -> Mapping[str, Market]:
        """Return all listed markets."""
        ...

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Return all accounts."""
        ...


class _Listeners:
    """Who listens to one channel."""

    def __init__(self) -> None:
        self.everywhere: list[Subscription] = []
        self.by_market: dict[str, list[Subscription]] = {}

    def of(self, market: str) -> Sequence[Subscription]:
        named = self.by_market.get(market)
        if named is None:
            return self.everywhere
        return [*self.everywhere, *named] if self.everywhere else named

    def add(self, subscription: Subscription, markets: Iterable[str] | None) -> None:
        if markets is None:
            self.everywhere.append(subscription)
            return
        for market in markets:
            self.by_market.setdefault(market, []).append(subscription)

    def drop(self, subscription: Subscription, markets: Iterable[str] | None) -> None:
        if markets is None:
            self.everywhere.remove(subscription)
            return
        for market in markets:
            listeners = self.by_market[market]
            listeners.remove(subscription)
            if not listeners:
                del self.by_market[market]


class Hub:
    """All sessions; see the module."""

    def __init__(self, venue: VenueView) -> None:
        self._venue = venue
        self.sessions: set[Session] = set()
        self._listeners = {channel: _Listeners() for channel in CHANNELS}
        self._by_id: dict[str, str] = {}
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
            self._snapshot(subscription, event.market, now_ms)

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

    def _snapshot(self, subscription: Subscription, name: str, now_ms: int, command_id: int = 0) -> None:
        market = self._venue.markets.get(name)
        if market is None:
            return
        body = bodies.snapshot(market, use_yes_price=subscription.use_yes_price)
        subscription.send("orderbook_snapshot", body, now_ms, command_id)

    # Commands --------------------------------------------------------------------------------------

    def receive(self, session: Session, frame: str | bytes, now_ms: int) -> None:
        """Do one command and append its replies; anything malformed is answered and changes nothing.

        The caller has published every earlier event, so a snapshot made here
        and the changes after it fit together.
        """
        command_id = 0
        try:
            try:
                command = msgspec.json.decode(frame)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise CommandError(1) from None
            if not isinstance(command, dict):
                raise CommandError(1)  # noqa: TRY301 - one place turns refusals into replies
            command_id = _command_id(command)
            self._do(session, command, command_id, now_ms)
        except CommandError as e:
            session.error(now_ms, command_id, e.code, e.subscription)

    def _do(self, session: Session, command: Mapping[str, Any], command_id: int, now_ms: int) -> None:
        kind = command.get("cmd")
        if kind == "list_subscriptions":
            listed = [{"channel": s.channel, "sid": s.sid} for s in session.by_sid.values()]
            session.reply(now_ms, command_id, type="ok", msg=listed)
            return
        if not isinstance(kind, str) or kind not in {"subscribe", "unsubscribe", "update_subscription"}:
            raise CommandError(5)
        params = command.get("params")
        if params is None:
            raise CommandError(2)
        if not isinstance(params, dict):
            raise CommandError(11)
        if kind == "subscribe":
            self._subscribe(session, params, command_id, now_ms)
        elif kind == "unsubscribe":
            self._unsubscribe(session, params, command_id, now_ms)
        else:
            self._update(session, params, command_id, now_ms)

    def _subscribe(self, session: Session, params: Mapping[str, Any], command_id: int, now_ms: int) -> None:
        channels = params.get("channels")
        if not channels:
            raise CommandError(3)
        if not isinstance(channels, list):
            raise CommandError(11)
        if any(not isinstance(channel, str) or channel not in CHANNELS for channel in channels):
            raise CommandError(8)
        markets = self._markets(params, ids_allowed=channels == [TICKER])
        if BOOK in channels and not markets:
            raise CommandError(14)
        use_yes_price = _flag(params, "use_yes_price")
        skip_ticker_ack = _flag(params, "skip_ticker_ack")
        with_ticker = _flag(params, "send_initial_snapshot")
        fresh: list[tuple[Subscription, list[str]]] = []
        for channel in dict.fromkeys(channels):
            subscription = session.by_channel.get(channel)
            if subscription is None:
                names = markets if channel in FILTERED else None
                subscription = self._begin(session, channel, names)
                subscription.use_yes_price = use_yes_price
                subscription.skip_ticker_ack = skip_ticker_ack
                added = list(subscription.markets or ())
            else:
                added = self._widen(subscription, markets)
            msg = {"channel": channel, "sid": subscription.sid}
            session.reply(now_ms, command_id, type="subscribed", msg=msg)
            fresh.append((subscription, added))
        for subscription, added in fresh:
            self._first_state(subscription, added, now_ms, with_ticker=with_ticker)

    def _begin(self, session: Session, channel: str, names: list[str] | None) -> Subscription:
        subscription = Subscription(session, session.next_sid, channel)
        session.next_sid += 1
        session.by_sid[subscription.sid] = subscription
        session.by_channel[channel] = subscription
        subscription.markets = dict.fromkeys(names) if names is not None else None
        self._listeners[channel].add(subscription, subscription.markets)
        return subscription

    def _first_state(
        self, subscription: Subscription, added: Iterable[str], now_ms: int, *, with_ticker: bool
    ) -> None:
        if subscription.channel == BOOK:
            for name in added:
                self._snapshot(subscription, name, now_ms)
        elif subscription.channel == TICKER and with_ticker:
            names = self._venue.markets if subscription.markets is None else added
            for name in names:
                if (market := self._venue.markets.get(name)) is not None:
                    subscription.send("ticker", bodies.ticker(market, now_ms), now_ms)

    def _widen(self, subscription: Subscription, markets: list[str] | None) -> list[str]:
        """Add markets to a subscription and return those that were not there; None widens to all."""
        if subscription.channel not in FILTERED or subscription.markets is None:
            return []
        listeners = self._listeners[subscription.channel]
        if markets is None:
            listeners.drop(subscription, subscription.markets)
            subscription.markets = None
            listeners.add(subscription, None)
            return []
        added = [name for name in dict.fromkeys(markets) if name not in subscription.markets]
        if len(subscription.markets) + len(added) > MARKETS_MAX:
            raise CommandError(26, subscription)
        subscription.markets.update(dict.fromkeys(added))
        listeners.add(subscription, added)
        return added

    def _unsubscribe(self, session: Session, params: Mapping[str, Any], command_id: int, now_ms: int) -> None:
        sids = params.get("sids")
        if not sids:
            raise CommandError(4)
        if not isinstance(sids, list):
            raise CommandError(11)
        if any(not isinstance(sid, int) or sid not in session.by_sid for sid in sids):
            raise CommandError(7)
        for sid in dict.fromkeys(sids):
            subscription = session.by_sid.pop(sid)
            del session.by_channel[subscription.channel]
            self._listeners[subscription.channel].drop(subscription, subscription.markets)
            # The reply carries a sequence on every channel: the AsyncAPI file requires it (kalshi-api 28.7).
            subscription.seq += 1
            session.reply(now_ms, command_id, type="unsubscribed", sid=sid, seq=subscription.seq)

    def _update(self, session: Session, params: Mapping[str, Any], command_id: int, now_ms: int) -> None:
        subscription = session.by_sid.get(_one_sid(params))
        if subscription is None:
            raise CommandError(7)
        action = _action(params, subscription)
        try:
            names = self._markets(params, ids_allowed=subscription.channel == TICKER)
            with_ticker = _flag(params, "send_initial_snapshot")
        except CommandError as e:
            raise CommandError(e.code, subscription) from None
        if not names:
            raise CommandError(14, subscription)
        if action == "get_snapshot":
            for name in dict.fromkeys(names):
                self._snapshot(subscription, name, now_ms, command_id)
            return
        added: list[str] = []
        if action == "add_markets":
            added = self._widen(subscription, names)
        else:
            self._narrow(subscription, names)
        fields: dict[str, object] = subscription.stamp()
        if not subscription.skip_ticker_ack:
            fields["msg"] = {"market_tickers": list(subscription.markets or ())}
        session.reply(now_ms, command_id, type="ok", **fields)
        self._first_state(subscription, added, now_ms, with_ticker=with_ticker)

    def _narrow(self, subscription: Subscription, names: Iterable[str]) -> None:
        """Take markets out of a subscription; one that listens to all has none to take out."""
        if subscription.markets is None:
            return
        gone = [name for name in dict.fromkeys(names) if name in subscription.markets]
        self._listeners[subscription.channel].drop(subscription, gone)
        for name in gone:
            del subscription.markets[name]

    def _markets(self, params: Mapping[str, Any], *, ids_allowed: bool) -> list[str] | None:
        """Return the named markets, or None if the command names none.

        Raises:
            CommandError: Two forms at once, wrong types, or ids where none are allowed or known.
        """
        given = [k for k in ("market_ticker", "market_tickers", "market_id", "market_ids") if k in params]
        if not given:
            return None
        if len(given) > 1:
            raise CommandError(11)
        value = params[given[0]]
        names = [value] if given[0] in {"market_ticker", "market_id"} else value
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise CommandError(11)
        if len(names) > MARKETS_MAX:
            raise CommandError(26)
        if given[0].startswith("market_id"):
            if not ids_allowed:
                raise CommandError(11)
            names = [self._name_of(market_id) for market_id in names]
        return names

    def _name_of(self, market_id: str) -> str:
        if market_id not in self._by_id:
            self._by_id = {m.market_id: name for name, m in self._venue.markets.items()}
        try:
            return self._by_id[market_id]
        except KeyError:
            raise CommandError(11) from None


def _command_id(command: Mapping[str, Any]) -> int:
    command_id = command.get("id", 0)
    if not isinstance(command_id, int) or isinstance(command_id, bool) or command_id < 0:
        raise CommandError(11)
    return command_id


def _flag(params: Mapping[str, Any], name: str) -> bool:
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise CommandError(11)
    return value


def _action(params: Mapping[str, Any], subscription: Subscription) -> str:
    action = params.get("action")
    if action is None:
        raise CommandError(15, subscription)
    allowed = {"add_markets", "delete_markets"} if subscription.channel in FILTERED else set()
    if subscription.channel == BOOK:
        allowed.add("get_snapshot")
    if not isinstance(action, str) or action not in allowed:
        raise CommandError(13, subscription)
    return action


def _one_sid(params: Mapping[str, Any]) -> int:
    sids = params.get("sids", [])
    if not isinstance(sids, list):
        raise CommandError(12)
    named = [*sids, params["sid"]] if "sid" in params else sids
    if len(named) != 1 or not isinstance(named[0], int):
        raise CommandError(12)
    return named[0]
