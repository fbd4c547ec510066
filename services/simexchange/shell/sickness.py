"""Shards that answer 503: what touches one is not done, what leaves it alone goes on.

Cancel-all does what it can and says 503; a batch that names a sick shard is refused as a
whole; a listing of all shards fails. How the real venue fails in part is not documented:
this is the careful reading, in which nothing partial is ever called done.
"""

from __future__ import annotations

from typing import Final

import msgspec

from services.simexchange.core.requests import OrderRef
from services.simexchange.core.venue import Venue
from services.simexchange.shell.reply import Call, Reply, ok

_SICK: Final = ok({"code": "service_unavailable", "message": "service unavailable"}, 503)
_ORDERS: Final = "/portfolio/events/orders"
_LISTING: Final = "/portfolio/orders"


class _Item(msgspec.Struct):
    exchange_index: int | None = None


class _Body(msgspec.Struct):
    exchange_index: int | None = None
    orders: list[_Item] = []


class Sickness:
    """Which shards are sick, and what becomes of a call meanwhile."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.shards: set[int] = set()

    def answer(self, call: Call, path: str) -> Reply | None:
        """Return the answer of a call that a sick shard spoils, or None."""
        if not self.shards:
            return None
        if call.method == "DELETE" and path == _ORDERS:
            self._cancel_all(call)
            return _SICK
        named = self._named(call)
        if named & self.shards or (path == _LISTING and not named):
            return _SICK
        return None

    def _named(self, call: Call) -> set[int]:
        asked = call.get("exchange_index")
        named = {int(asked)} if asked.isdecimal() else set()
        if call.body:
            try:
                body = msgspec.json.decode(call.body, type=_Body)
            except msgspec.DecodeError:
                return named  # its own handler says what is wrong with it
            items = [body.exchange_index, *(item.exchange_index for item in body.orders)]
            named |= {shard for shard in items if shard is not None}
        return named

    def _cancel_all(self, call: Call) -> None:
        resting = self._venue.accounts[call.account].resting
        orders = [order for rows in list(resting.values()) for order in list(rows.values())]
        for order in orders:
            if order.shard not in self.shards:
                ref = OrderRef(order.order_id, exchange_index=order.shard)
                self._venue.cancel(call.account, ref, call.now_ns)
