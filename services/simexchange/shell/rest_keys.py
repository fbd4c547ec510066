"""The member's API keys over HTTP (kalshi-api 2.7); they are made by the counter under ``/sim`` only."""

from __future__ import annotations

from services.simexchange.shell.auth import KeyRing
from services.simexchange.shell.door import Door, Route
from services.simexchange.shell.reply import Call, Reply, ok
from services.simexchange.shell.times import NS_PER_S


class KeyRoutes:
    """Handler of the listing."""

    def __init__(self, door: Door, keys: KeyRing) -> None:
        self._announced = door.venue.floor.announced
        self._keys = keys

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [Route("GET", "/api_keys", self.listing)]

    def listing(self, call: Call) -> Reply:
        """List the member's keys, and when its location attestation lapses."""
        rows = [
            {"api_key_id": key.key_id, "name": key.name, "scopes": sorted(key.scopes)}
            for key in self._keys.keys.values()
            if key.account == call.account
        ]
        body: dict[str, object] = {"api_keys": rows}
        until_ns = self._announced.attested_until_ns.get(call.account)
        return ok(body if until_ns is None else body | {"api_key_region_expiration_ts": until_ns // NS_PER_S})
