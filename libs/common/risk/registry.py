"""The rules that every order passes, in this order; a new rule is one file and one entry here.

The entry also says which limit the rule reads and in what unit it answers: the table
in docs/guards.md is written from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from libs.common.risk.limits import RiskLimits
from libs.common.risk.model import Rule
from libs.common.risk.rules.duplicate import Duplicate
from libs.common.risk.rules.exit_reduces import ExitReduces
from libs.common.risk.rules.fresh_reference import FreshReference
from libs.common.risk.rules.max_account_contracts import MaxAccountContracts
from libs.common.risk.rules.max_account_exposure import MaxAccountExposure
from libs.common.risk.rules.max_account_orders import MaxAccountOrders
from libs.common.risk.rules.max_balance_share import MaxBalanceShare
from libs.common.risk.rules.max_event_contracts import MaxEventContracts
from libs.common.risk.rules.max_event_exposure import MaxEventExposure
from libs.common.risk.rules.max_market_exposure import MaxMarketExposure
from libs.common.risk.rules.max_market_orders import MaxMarketOrders
from libs.common.risk.rules.max_market_position import MaxMarketPosition
from libs.common.risk.rules.max_order_notional import MaxOrderNotional
from libs.common.risk.rules.max_order_qty import MaxOrderQty
from libs.common.risk.rules.notional_rate import NotionalRate
from libs.common.risk.rules.on_grid import OnGrid
from libs.common.risk.rules.order_rate import OrderRate
from libs.common.risk.rules.price_collar import PriceCollar
from libs.common.risk.rules.repeated_order import RepeatedOrder
from libs.common.risk.rules.self_cross import SelfCross
from libs.common.risk.rules.shard_balance import ShardBalance


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule.

    Attributes:
        refuses: What it refuses, as its class says it.
        make: Builds it from the limits.
        limit: The field that it reads, empty where it knows no limit.
        unit: What its refusals count in.
    """

    refuses: str
    make: Callable[[RiskLimits], Rule]
    limit: str
    unit: str


class _Limited(Protocol):
    """A rule's class that is built from one limit."""

    def __call__(self, limit: int, /) -> Rule: ...


def _limited(kind: _Limited, limit: str, unit: str) -> Entry:
    return Entry(kind.__doc__ or "", lambda limits: kind(getattr(limits, limit)), limit, unit)


RULES: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        "on_grid": Entry(OnGrid.__doc__ or "", lambda _: OnGrid(), "", "price_e4"),
        "max_order_qty": _limited(MaxOrderQty, "order_qty_e2_max", "contracts_e2"),
        "max_order_notional": _limited(MaxOrderNotional, "order_notional_e6_max", "dollars_e6"),
        "exit_reduces": Entry(ExitReduces.__doc__ or "", lambda _: ExitReduces(), "", "contracts_e2"),
        "fresh_reference": _limited(FreshReference, "reference_age_ms_max", "ms"),
        "price_collar": _limited(PriceCollar, "price_collar_e4_max", "price_e4"),
        "self_cross": Entry(SelfCross.__doc__ or "", lambda _: SelfCross(), "", "price_e4"),
        "duplicate": _limited(Duplicate, "orders_same_price_max", "orders"),
        "repeated_order": _limited(RepeatedOrder, "orders_repeated_per_s_max", "orders_per_s"),
        "order_rate": _limited(OrderRate, "orders_per_s_max", "orders_per_s"),
        "notional_rate": _limited(NotionalRate, "notional_per_minute_e6_max", "dollars_e6_per_minute"),
        "max_market_orders": _limited(MaxMarketOrders, "market_orders_max", "orders"),
        "max_account_orders": _limited(MaxAccountOrders, "account_orders_max", "orders"),
        "max_market_position": _limited(MaxMarketPosition, "market_position_e2_max", "contracts_e2"),
        "max_event_contracts": _limited(MaxEventContracts, "event_contracts_e2_max", "contracts_e2"),
        "max_account_contracts": _limited(MaxAccountContracts, "account_contracts_e2_max", "contracts_e2"),
        "max_market_exposure": _limited(MaxMarketExposure, "market_exposure_e6_max", "dollars_e6"),
        "max_event_exposure": _limited(MaxEventExposure, "event_exposure_e6_max", "dollars_e6"),
        "max_account_exposure": _limited(MaxAccountExposure, "account_exposure_e6_max", "dollars_e6"),
        "max_balance_share": _limited(MaxBalanceShare, "market_balance_share_e4_max", "dollars_e6"),
        "shard_balance": _limited(ShardBalance, "balance_age_ms_max", "dollars_e6"),
    }
)


def rules_of(limits: RiskLimits) -> tuple[Rule, ...]:
    """Return every registered rule with these limits."""
    return tuple(entry.make(limits) for entry in RULES.values())
