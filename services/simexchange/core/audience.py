"""Who listens to what: the register that both the events and the commands go by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from services.simexchange.core import channel_bodies as bodies
from services.simexchange.core.accounts import Account
from services.simexchange.core.markets import Market
from services.simexchange.core.subscriptions import Subscription


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


class Listeners:
    """Who listens to one channel."""

    def __init__(self) -> None:
        self.everywhere: list[Subscription] = []
        self.by_market: dict[str, list[Subscription]] = {}

    def of(self, market: str) -> Sequence[Subscription]:
        """Return who hears about this market."""
        named = self.by_market.get(market)
        if named is None:
            return self.everywhere
        return [*self.everywhere, *named] if self.everywhere else named

    def add(self, subscription: Subscription, markets: Iterable[str] | None) -> None:
        """Enter a subscription for these markets; None is every market."""
        if markets is None:
            self.everywhere.append(subscription)
            return
        for market in markets:
            self.by_market.setdefault(market, []).append(subscription)

    def drop(self, subscription: Subscription, markets: Iterable[str] | None) -> None:
        """Take a subscription out for these markets; None where it listened to all."""
        if markets is None:
            self.everywhere.remove(subscription)
            return
        for market in markets:
            listeners = self.by_market[market]
            listeners.remove(subscription)
            if not listeners:
                del self.by_market[market]


def send_snapshot(
    venue: VenueView, subscription: Subscription, name: str, now_ms: int, command_id: int = 0
) -> None:
    """Send the book of one market; a market that is not listed has none."""
    market = venue.markets.get(name)
    if market is not None:
        body = bodies.snapshot(market, use_yes_price=subscription.use_yes_price)
        subscription.send("orderbook_snapshot", body, now_ms, command_id)
