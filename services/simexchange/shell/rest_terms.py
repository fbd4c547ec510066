"""The venue's terms, changed by whoever drives the simulator: scopes, attestation, tier, hours, fees.

Loopback only and unsigned, like everything under ``/sim``; nothing here exists at the real venue.
Moments are told in seconds from now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.common.runtime.clock import Clock
from services.simexchange.core.announcements import DAYS
from services.simexchange.core.budget import TIERS
from services.simexchange.core.venue import Venue
from services.simexchange.shell.auth import KeyRing

NS_PER_S: Final = 1_000_000_000


class Scopes(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/scopes``: what a key may do from now on."""

    key_id: str
    scopes: tuple[str, ...]


class Attested(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/attested``: when a member's attestation lapses; without ``seconds``: never attested."""

    account: str
    seconds: float | None = None


class Tiered(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/tier``: a member's tier from now on, and when it ends; without ``seconds``: never."""

    account: str
    tier: str
    seconds: float | None = None


class Hours(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/schedule``: sessions of weekdays (``HH:MM`` Eastern), and maintenance from … to."""

    hours: dict[str, tuple[tuple[str, str], ...]] = {}
    maintenance: tuple[tuple[float, float], ...] = ()


class Fees(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/fee_changes``: announce one, of a series or of an event."""

    seconds: float
    series: str = ""
    event: str = ""
    fee_type: str | None = None
    multiplier_e4: int | None = None


class TermsFace:
    """Handlers."""

    def __init__(self, venue: Venue, keys: KeyRing, clock: Clock, on_change: Callable[[], None]) -> None:
        self._venue = venue
        self._keys = keys
        self._clock = clock
        self._on_change = on_change

    def routes(self) -> list[Route]:
        """Return the routes."""
        handlers: dict[str, Callable[[bytes], object]] = {
            "scopes": self.scopes,
            "attested": self.attested,
            "tier": self.tier,
            "schedule": self.schedule,
            "fee_changes": self.fee_changes,
        }
        return [Route(f"/sim/{name}", self._asked(do), methods=["POST"]) for name, do in handlers.items()]

    def scopes(self, body: bytes) -> object:
        """Change what a key may do."""
        asked = msgspec.json.decode(body, type=Scopes)
        key = self._keys.keys[asked.key_id]
        self._keys.keys[asked.key_id] = replace(key, scopes=frozenset(asked.scopes))
        return {"before": sorted(key.scopes)}

    def attested(self, body: bytes) -> object:
        """Change when a member's attestation lapses."""
        asked = msgspec.json.decode(body, type=Attested)
        self._until(self._venue.floor.announced.attested_until_ns, asked.account, asked.seconds)
        return {}

    def tier(self, body: bytes) -> object:
        """Change a member's tier; its buckets are new, and full, with its next request."""
        asked = msgspec.json.decode(body, type=Tiered)
        account, before = self._venue.accounts[asked.account], self._venue.accounts[asked.account].tier
        if asked.tier not in TIERS:
            raise ValueError(f"known tier, was {asked.tier!r}")
        account.tier = asked.tier
        self._until(self._venue.floor.announced.tier_until_ns, asked.account, asked.seconds)
        return {"before": before}

    def schedule(self, body: bytes) -> object:
        """Announce opening hours and maintenance in place of what was announced before."""
        asked, now_ns = msgspec.json.decode(body, type=Hours), self._clock.now_ns()
        if unknown := asked.hours.keys() - set(DAYS):
            raise ValueError(f"weekdays, was {sorted(unknown)}")
        announced = self._venue.floor.announced
        announced.hours = dict(asked.hours)
        announced.maintenance = [
            (now_ns + int(start * NS_PER_S), now_ns + int(end * NS_PER_S)) for start, end in asked.maintenance
        ]
        return {}

    def fee_changes(self, body: bytes) -> object:
        """Announce a fee change, which comes true at its moment."""
        asked, now_ns = msgspec.json.decode(body, type=Fees), self._clock.now_ns()
        at_ns = now_ns + int(asked.seconds * NS_PER_S)
        change = self._venue.announce_fee(
            asked.series, asked.event, asked.fee_type, asked.multiplier_e4, at_ns, now_ns
        )
        return {"id": change.change_id, "at_ms": change.at_ns // 1_000_000}

    def _until(self, ends_ns: dict[str, int], account: str, seconds: float | None) -> None:
        if account not in self._venue.accounts:
            raise KeyError(account)
        ends_ns.pop(account, None)
        if seconds is not None:
            ends_ns[account] = self._clock.now_ns() + int(seconds * NS_PER_S)

    def _asked(self, do: Callable[[bytes], object]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                told, status = do(body), 200
            except (msgspec.DecodeError, ValueError, KeyError, AssertionError) as e:
                # Whoever drives the simulator should read what was wrong with the order of the day.
                told, status = {"error": f"{type(e).__name__}: {e}"}, 400
            self._on_change()
            return Response(msgspec.json.encode(told), status, media_type="application/json")

        return endpoint
