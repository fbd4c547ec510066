"""Commands of the feed: subscribe, unsubscribe, update, list (kalshi-api 23.2 to 23.4).

A command is done as a whole or answered with the venue's error code and changes
nothing. An error about a subscription is scoped to it and takes its next number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from services.simexchange.core import channel_bodies as bodies
from services.simexchange.core.audience import Listeners, VenueView, send_snapshot
from services.simexchange.core.subscriptions import (
    BOOK,
    CHANNELS,
    FILTERED,
    MARKETS_MAX,
    TICKER,
    CommandError,
    Session,
    Subscription,
)


class Commands:
    """Does the commands of every connection on the register of listeners."""

    def __init__(self, venue: VenueView, listeners: Mapping[str, Listeners]) -> None:
        self._venue = venue
        self._listeners = listeners
        self._by_id: dict[str, str] = {}

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
                send_snapshot(self._venue, subscription, name, now_ms)
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
                send_snapshot(self._venue, subscription, name, now_ms, command_id)
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
