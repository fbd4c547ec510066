"""The exchange and the account's terms: status, schedule, limits, costs (kalshi-api 5, 8, 18)."""

from __future__ import annotations

from services.simexchange.core.announcements import ALL_DAY, DAYS
from services.simexchange.core.budget import COST_DEFAULT, ENDPOINT_COSTS, TIERS, BucketTerms
from services.simexchange.shell.door import Door, Route
from services.simexchange.shell.reply import Call, Reply, ok
from services.simexchange.shell.times import NS_PER_S, rfc3339

_FOREVER = ("2020-01-01T00:00:00Z", "2099-12-31T00:00:00Z")


class ExchangeRoutes:
    """Handlers of status, schedule and account terms."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._floor = door.venue.floor

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route("GET", "/exchange/status", self.status, is_public=True),
            Route("GET", "/exchange/schedule", self.schedule, is_public=True),
            Route("GET", "/exchange/user_data_timestamp", self.user_data_timestamp, is_public=True),
            Route("GET", "/account/endpoint_costs", self.endpoint_costs, is_public=True),
            Route("GET", "/account/limits", self.limits),
            Route("GET", "/account/api_usage_level/volume_progress", self.volume_progress),
            Route("GET", "/historical/cutoff", self.cutoff, is_public=True),
            Route("GET", "/historical/orders", self.no_orders),
            Route("GET", "/historical/fills", self.no_fills),
            Route("GET", "/historical/positions", self.no_positions),
            Route("GET", "/historical/markets", self.no_markets, is_public=True),
            Route("GET", "/historical/trades", self.no_trades, is_public=True),
        ]

    def status(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """Tell what works on each shard; the top-level flags are shard 0's."""
        rows = [
            {
                "exchange_index": shard,
                "description": f"shard {shard}",
                "exchange_active": shard not in self._floor.exchange_paused,
                "trading_active": shard not in self._floor.trading_paused,
                "intra_exchange_transfers_active": shard not in self._floor.exchange_paused,
            }
            for shard in self._floor.shards
        ]
        first = rows[0]
        return ok(
            {
                "exchange_active": first["exchange_active"],
                "trading_active": first["trading_active"],
                "intra_exchange_transfers_active": first["intra_exchange_transfers_active"],
                "exchange_estimated_resume_time": None,
                "exchange_index_statuses": rows,
            }
        )

    def schedule(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """Tell what was announced, else that it is always open: pauses are thrown by switch."""
        announced = self._floor.announced
        hours: dict[str, object] = {"start_time": _FOREVER[0], "end_time": _FOREVER[1]}
        for day in DAYS:
            sessions = announced.hours.get(day, ALL_DAY)
            hours[day] = [{"open_time": opens, "close_time": closes} for opens, closes in sessions]
        windows = [
            {"start_datetime": rfc3339(start_ns), "end_datetime": rfc3339(end_ns)}
            for start_ns, end_ns in announced.maintenance
        ]
        return ok({"schedule": {"standard_hours": [hours], "maintenance_windows": windows}})

    def user_data_timestamp(self, call: Call) -> Reply:
        """Tell how fresh reads are."""
        return ok({"as_of_time": rfc3339(call.now_ns - self._floor.reads.lag_ns)})

    def endpoint_costs(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List what costs other than the default."""
        rows = [{"method": method, "path": path, "cost": cost} for method, path, cost in ENDPOINT_COSTS]
        return ok({"default_cost": COST_DEFAULT, "endpoint_costs": rows})

    def limits(self, call: Call) -> Reply:
        """Tell the account's tier and buckets."""
        tier = TIERS[self._door.account(call).tier]
        until_ns = self._floor.announced.tier_until_ns.get(call.account)
        grants: list[dict[str, object]] = []
        if until_ns is not None:
            grant = {"exchange_instance": "event_contract", "level": tier.name, "source": "volume"}
            grants.append(grant | {"expires_ts": until_ns // NS_PER_S})
        return ok(
            {
                "usage_tier": tier.name,
                "read": _terms(tier.read),
                "write": _terms(tier.write),
                "grants": grants,
            }
        )

    def volume_progress(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List nothing: tiers are given here, not earned."""
        return ok({"volume_progress": []})

    def cutoff(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """Tell that everything is still live."""
        names = (
            "market_settled_ts",
            "trades_created_ts",
            "orders_updated_ts",
            "market_positions_last_updated_ts",
        )
        return ok(dict.fromkeys(names, _FOREVER[0]))

    def no_orders(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List nothing: all orders are live."""
        return ok({"orders": [], "cursor": ""})

    def no_fills(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List nothing: all fills are live."""
        return ok({"fills": [], "cursor": ""})

    def no_positions(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List nothing: all positions are live."""
        return ok({"market_positions": [], "event_positions": [], "cursor": ""})

    def no_markets(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List nothing: all markets are live."""
        return ok({"markets": [], "cursor": ""})

    def no_trades(self, call: Call) -> Reply:  # noqa: ARG002 - a handler
        """List nothing: all trades are live."""
        return ok({"trades": [], "cursor": ""})


def _terms(terms: BucketTerms) -> dict[str, int]:
    return {"refill_rate": terms.refill_per_s, "bucket_capacity": terms.capacity}
