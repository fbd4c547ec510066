"""The other side of the venue's counter, as provocations need it: fills, orders, faults, switches.

Prices are in 1/10,000 dollar, quantities in 1/100 contract, moments are the monotonic clock in
seconds, taken before the request left: what is measured from them is never too short.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import msgspec

from libs.cli.world import VenueFile
from libs.common.domain.ids import OrderIdentity
from libs.common.domain.side import Side

OURS: Final = "main"
OUTSIDER: Final = "outsider"


class Refused(Exception):  # noqa: N818 - the venue's word
    """The venue refused what was asked; the text is its own."""


class Counter:
    """``/sim`` of the simulated venue."""

    def __init__(self, venue: VenueFile, client: httpx.AsyncClient) -> None:
        self.at = venue
        self._client = client
        self._base = venue.rest_url.removesuffix("/trade-api/v2")
        self._numbers: Iterator[int] = itertools.count(1)

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask ``/sim/<path>``: GET without a body, else POST.

        Raises:
            Refused: The venue said no.
        """
        url = f"{self._base}/sim/{path}"
        if body is None:
            answer = await self._client.get(url)
        else:
            answer = await self._client.post(url, content=msgspec.json.encode(body))
        told: dict[str, Any] = msgspec.json.decode(answer.content)
        if answer.status_code >= 400:
            raise Refused(f"/sim/{path}: {told}")
        return told

    # Markets and orders ----------------------------------------------------------------------------

    async def list_market(self, shard: int = 0) -> str:
        """List a quiet market in a series and an event of its own and return its name."""
        series = f"CTL{next(self._numbers)}S{shard}"
        told = await self.ask("quiet", {"series": series, "shard": shard, "count": 1})
        return str(told["markets"][0])

    async def place(  # noqa: PLR0917 - an order has these six facts
        self,
        account: str,
        market: str,
        side: Side | str,
        price_e4: int,
        qty_e2: int,
        tif: str = "good_till_canceled",
        **more: object,
    ) -> dict[str, Any]:
        """Place an order outside of Dora, for `OURS` or `OUTSIDER`; ``more`` are further wire fields.

        Raises:
            Refused: The venue said no.
        """
        body = {
            "account": account,
            "ticker": market,
            "side": Side(side).value,
            "price": f"{price_e4 / 10_000:.4f}",
            "count": f"{qty_e2 / 100:.2f}",
            "time_in_force": tif,
            "self_trade_prevention_type": "taker_at_cross",
            **more,
        }
        return await self.ask("orders", body)

    async def cancel(self, account: str, order_id: str) -> None:
        """Cancel an order of an account."""
        await self.ask("cancel", {"account": account, "order_id": order_id})

    def our_id(self, epoch: int = 1) -> str:
        """Return a client order id that carries our prefix and that no executor gave."""
        return OrderIdentity("sim", epoch, 900_000, next(self._numbers), secrets.token_hex(4)).text()

    async def fill(self, market: str, side: Side | str, price_e4: int, qty_e2: int) -> float:
        """Fill our account at a price, as maker, by an order outside of Dora; return the moment before.

        Needs a market in which nothing of anybody's rests at or through the price.
        """
        side = Side(side)
        await self.place(OURS, market, side, price_e4, qty_e2)
        return await self.take(market, side, price_e4, qty_e2)

    async def take(self, market: str, side: Side | str, price_e4: int, qty_e2: int) -> float:
        """Let the outsider take what rests on our ``side`` up to a price; return the moment before."""
        against = Side.ASK if Side(side) is Side.BID else Side.BID
        before_s = time.monotonic()
        await self.place(OUTSIDER, market, against, price_e4, qty_e2, "immediate_or_cancel")
        return before_s

    async def flatten(self, market: str, price_e4: int = 5_000) -> None:
        """Close our position in a market, by orders outside of Dora."""
        qty_e2 = (await self.positions()).get(market, 0)
        if qty_e2:
            await self.fill(market, Side.ASK if qty_e2 > 0 else Side.BID, price_e4, abs(qty_e2))

    # What is so --------------------------------------------------------------------------------------

    async def truth(self) -> dict[str, Any]:
        """Return what is really so of our account."""
        told = await self.ask(f"truth?account={OURS}")
        account: dict[str, Any] = told["accounts"][OURS]
        return account

    async def positions(self) -> dict[str, int]:
        """Return our signed positions that are not flat, E2."""
        found = (await self.truth())["positions"]
        return {market: int(held["qty_e2"]) for market, held in found.items() if held["qty_e2"]}

    async def resting(self, market: str = "") -> list[dict[str, Any]]:
        """Return our resting orders, of one market or of all."""
        orders = (await self.truth())["orders"]
        return [order for order in orders if market in ("", order["ticker"])]

    # Weather -----------------------------------------------------------------------------------------

    async def fault(self, kind: str, match: str = "", count: int = 1, **more: object) -> float:
        """Throw a fault (`services/simexchange/core/faults.py`); return the moment before."""
        before_s = time.monotonic()
        await self.ask("faults", {"kind": kind, "match": match, "count": count, **more})
        return before_s

    async def clear_faults(self) -> None:
        """Take back every fault."""
        await self._client.delete(f"{self._base}/sim/faults")

    async def switch(self, action: str, **more: object) -> float:
        """Throw a switch of the exchange (`Switch` in `rest_admin.py`); return the moment before."""
        before_s = time.monotonic()
        await self.ask("switch", {"action": action, **more})
        return before_s
