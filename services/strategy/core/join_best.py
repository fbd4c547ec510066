"""The smallest strategy that quotes: join the best price of others on both sides.

An example of an extension: one file, one line in `registry.py`. It shares the
gate and the last stages with the maker, so it is as safe, and it holds no view.
"""

from __future__ import annotations

from typing import Final

from services.strategy.core import gate, shape
from services.strategy.core.pipeline import Step
from services.strategy.core.settings import MarketSettings
from services.strategy.core.work import Work

VERSION: Final = "1"


class JoinBestSettings(MarketSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing beyond what every strategy has."""


def join(work: Work[JoinBestSettings]) -> str:
    """Take the touch of others as our prices."""
    work.bid_e4 = float(work.net_bid[0])
    work.ask_e4 = float(work.net_ask[0])
    return ""


STEPS: Final[tuple[Step[JoinBestSettings], ...]] = (
    Step("permission", gate.permission, protects=True),
    Step("own_state", gate.own_state, protects=True),
    Step("market_state", gate.market_state, protects=True),
    Step("two_sided", gate.two_sided, protects=True),
    Step("own_quantity", gate.own_quantity, protects=True),
    Step("join", join, protects=True),
    Step("min_spread", shape.min_spread),
    Step("time_to_close", shape.time_to_close),
    Step("caps", shape.caps, protects=True),
    Step("reduce_only", shape.reduce_only, protects=True),
    Step("snap", shape.snap, protects=True),
    Step("size", shape.size, protects=True),
)
