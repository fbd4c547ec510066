"""Keep the worst-case losses of all markets summed, so that a view costs one market's work."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.risk.exposure import Open, losses_e6
from libs.common.risk.model import Order, RiskView

_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class RiskDesk:
    """Exposure of the account, its events and markets; and how fast orders go out."""

    _loss: dict[str, tuple[str, int]] = field(default_factory=dict)
    _events: dict[str, int] = field(default_factory=dict)
    _account_e6: int = 0
    _passed_ns: deque[int] = field(default_factory=deque)

    def refresh(
        self, market: str, event: str, position_e2: int, cost_e6: int, opened: Iterable[Open]
    ) -> None:
        """Count a market anew after its orders or position changed."""
        loss_e6 = max(0, *losses_e6(position_e2, cost_e6, opened))
        was_event, was_e6 = self._loss.get(market, (event, 0))
        self._events[was_event] = self._events.get(was_event, 0) - was_e6
        self._events[event] = self._events.get(event, 0) + loss_e6
        self._account_e6 += loss_e6 - was_e6
        self._loss[market] = (event, loss_e6)

    @property
    def account_e6(self) -> int:
        """Return the account's worst-case loss: the sum over its markets."""
        return self._account_e6

    def passed(self, now_ns: int) -> None:
        """Note that an order was let through."""
        self._passed_ns.append(now_ns)

    def view(
        self,
        order: Order,
        position_e2: int,
        cost_e6: int,
        opened: list[Open],
        *,
        grid: PriceGrid | None,
        reference_e4: float | None,
        now_ns: int,
    ) -> RiskView:
        """Return the account as this order meets it; ``opened`` is without an order that it replaces."""
        event, loss_e6 = self._loss.get(order.market, (order.event, 0))
        while self._passed_ns and now_ns - self._passed_ns[0] >= _SECOND_NS:
            self._passed_ns.popleft()
        if_yes, if_no = losses_e6(position_e2, cost_e6, opened)
        bids = [one for one in opened if one.side is Side.BID]
        asks = [one for one in opened if one.side is Side.ASK]
        same = bids if order.side is Side.BID else asks
        in_event_e6 = loss_e6 if event == order.event else 0
        return RiskView(
            position_e2=position_e2,
            bid_open_e2=sum(one.qty_e2 for one in bids),
            ask_open_e2=sum(one.qty_e2 for one in asks),
            loss_if_yes_e6=if_yes,
            loss_if_no_e6=if_no,
            event_others_e6=self._events.get(order.event, 0) - in_event_e6,
            account_others_e6=self._account_e6 - loss_e6,
            own_bid_max_e4=max((one.price_e4 for one in bids), default=None),
            own_ask_min_e4=min((one.price_e4 for one in asks), default=None),
            same_price_open=sum(one.price_e4 == order.price_e4 for one in same),
            reference_e4=reference_e4,
            grid=grid,
            orders_last_s=len(self._passed_ns),
        )
