"""The rules that every order passes, in this order; a new rule is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from libs.common.risk.limits import RiskLimits
from libs.common.risk.model import Rule
from libs.common.risk.rules.duplicate import Duplicate
from libs.common.risk.rules.max_account_exposure import MaxAccountExposure
from libs.common.risk.rules.max_event_exposure import MaxEventExposure
from libs.common.risk.rules.max_market_position import MaxMarketPosition
from libs.common.risk.rules.max_order_notional import MaxOrderNotional
from libs.common.risk.rules.max_order_qty import MaxOrderQty
from libs.common.risk.rules.on_grid import OnGrid
from libs.common.risk.rules.order_rate import OrderRate
from libs.common.risk.rules.price_collar import PriceCollar
from libs.common.risk.rules.self_cross import SelfCross

RULES: Final[Mapping[str, Callable[[RiskLimits], Rule]]] = MappingProxyType(
    {
        "on_grid": lambda _limits: OnGrid(),
        "max_order_qty": lambda limits: MaxOrderQty(limits.order_qty_e2_max),
        "max_order_notional": lambda limits: MaxOrderNotional(limits.order_notional_e6_max),
        "price_collar": lambda limits: PriceCollar(limits.price_collar_e4_max),
        "self_cross": lambda _limits: SelfCross(),
        "duplicate": lambda limits: Duplicate(limits.orders_same_price_max),
        "order_rate": lambda limits: OrderRate(limits.orders_per_s_max),
        "max_market_position": lambda limits: MaxMarketPosition(limits.market_position_e2_max),
        "max_event_exposure": lambda limits: MaxEventExposure(limits.event_exposure_e6_max),
        "max_account_exposure": lambda limits: MaxAccountExposure(limits.account_exposure_e6_max),
    }
)


def rules_of(limits: RiskLimits) -> tuple[Rule, ...]:
    """Return every registered rule with these limits."""
    return tuple(make(limits) for make in RULES.values())
