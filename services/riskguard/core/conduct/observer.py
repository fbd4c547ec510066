"""Gathers what the triggers of this area look at.

Rates begin with the first whole reading of the account: what it holds, and what
the feed told before it, is history. Day sums (self-trades) count history too.
"""

from __future__ import annotations

from libs.common.domain.ids import parse_client_order_id
from libs.common.kalshi.model import VenueFill, VenueOrder
from libs.common.messages.execution import EpochV1, OrderV1
from libs.common.messages.health import StatusV1
from libs.common.messages.risk import ReconResultV1
from services.riskguard.core.area import Area
from services.riskguard.core.conduct.api_calls import ApiCalls
from services.riskguard.core.conduct.claims import Claims
from services.riskguard.core.conduct.limits import ConductLimits
from services.riskguard.core.conduct.messages import Messages
from services.riskguard.core.conduct.rate import Rate, Tally
from services.riskguard.core.conduct.repeats import Repeats
from services.riskguard.core.conduct.self_trades import SelfTrades
from services.riskguard.core.conduct.strays import Strays
from services.riskguard.core.conduct.venue_age import VenueAge
from services.riskguard.core.conduct.view import ConductView
from services.riskguard.core.reading import Reading

_S = 1_000_000_000
_MS = 1_000_000
_MINUTE_NS = 60 * _S
_TEN_MINUTES_NS = 600 * _S
_STEP_NS = 10 * _S


class Conduct(Area):
    """How we behave at the venue.

    Args:
        limits: Of this area.
        env: Which client order ids are ours.
    """

    def __init__(self, limits: ConductLimits, env: str) -> None:
        self._env = env
        self._age = VenueAge()
        self._fills = Rate(_MINUTE_NS)
        self._contracts = Rate(_MINUTE_NS)
        self._sent = Rate(_MINUTE_NS)
        self._placed = Tally(_TEN_MINUTES_NS, _STEP_NS)
        self._traded = Tally(_TEN_MINUTES_NS, _STEP_NS)
        self._messages = Messages()
        self._repeats = Repeats(limits.repeated_window_ms * _MS)
        self._self_trades = SelfTrades()
        self._claims = Claims()
        self._strays = Strays()
        self._api = ApiCalls(_MINUTE_NS)
        self._is_read = False
        self._epoch = 0

    def on_fill(self, fill: VenueFill, now_ns: int) -> None:
        """Take a fill, each once, whatever path it came by."""
        self._self_trades.on_fill(fill)
        age_ns = self._age.of(fill.venue_ms, now_ns)
        if not self._is_read:
            return
        self._fills.add(now_ns, age_ns)
        self._contracts.add(now_ns, age_ns, fill.qty_e2)
        self._repeats.on_fill(fill, self._messages.changes(fill.order_id), now_ns, age_ns)
        self._traded.add(now_ns)

    def on_own_order(self, order: VenueOrder, now_ns: int) -> None:
        """Take an order as our own private feed tells it."""
        if not self._is_ours(order):
            return
        heard = self._messages.on_order(order)
        if self._is_read and heard.messages:
            self._sent.add(now_ns, self._age.of(order.updated_ms, now_ns), heard.messages)
            self._placed.add(now_ns, heard.placed)

    def on_order(self, order: OrderV1, now_ns: int) -> None:
        """Take the executor's word about an order."""
        self._claims.on_order(order, now_ns)

    def on_epoch(self, epoch: EpochV1, sequence: int, now_ns: int) -> None:
        """Take an epoch; an older one that is heard late changes nothing."""
        del sequence, now_ns
        if epoch.number > self._epoch:
            self._epoch = epoch.number
            self._claims.on_epoch(epoch.number)

    def on_reading(self, reading: Reading, now_ns: int) -> None:
        """Take one whole reading of the venue."""
        ours = [order for order in reading.orders if self._is_ours(order)]
        others = [order for order in reading.orders if not self._is_ours(order)]
        self._messages.on_listing(ours)
        orphans = [order for order in ours if not self._claims.lives(order.client_order_id)]
        self._strays.on_listing(orphans, others, reading.started_ns)
        self._api.on_read(now_ns)
        self._is_read = True

    def on_read_failed(self, reason: str, now_ns: int) -> None:
        """Take the news that the venue could not be read."""
        self._api.on_read_failed(reason, now_ns)

    def on_said(self, status: StatusV1, now_ns: int) -> None:
        """Take the executor's answer to our question for its status."""
        self._api.on_said(status, now_ns)

    def on_recon(self, result: ReconResultV1, now_ns: int) -> None:
        """Take the result of one comparison."""
        self._strays.on_recon(result, now_ns)

    def on_tick(self, now_ns: int, now_ms: int) -> None:
        """Learn the wall clock."""
        self._age.on_tick(now_ns, now_ms)

    def begin_day(self, day_ms: int) -> None:
        """Begin a new trading day."""
        self._self_trades.begin_day(day_ms)

    def take_foreign(self) -> list[VenueOrder]:
        """Return the foreign orders that nobody was told of yet."""
        return self._strays.take_news()

    def view(self, now_ns: int, now_ms: int) -> ConductView:
        """Return what there is to see now."""
        del now_ms
        repeated, executions = self._repeats.worst(now_ns)
        unknown, unknown_ms = self._claims.oldest_unknown(now_ns)
        orphan, orphan_ms = self._strays.oldest_orphan(self._claims.lives)
        calls = self._api.recent(now_ns)
        return ConductView(
            fills_last_minute=self._fills.total(now_ns),
            contracts_last_minute_e2=self._contracts.total(now_ns),
            messages_last_minute=self._sent.total(now_ns),
            repeated=repeated,
            repeated_executions=executions,
            self_trades=self._self_trades.count,
            orders_last_ten_minutes=self._placed.total(now_ns),
            trades_last_ten_minutes=self._traded.total(now_ns),
            oldest_unknown=unknown,
            oldest_unknown_ms=unknown_ms,
            oldest_orphan=orphan,
            oldest_orphan_ms=orphan_ms,
            foreign_orders=self._strays.foreign_orders,
            api_requests_last_minute=calls.requests,
            api_errors_last_minute=calls.errors,
            rate_limited_last_minute=calls.limited,
        )

    def _is_ours(self, order: VenueOrder) -> bool:
        identity = parse_client_order_id(order.client_order_id)
        return identity is not None and identity.env == self._env
