"""The sheet on which one decision is worked out, and the rules of a stage.

A stage takes the sheet, changes it, and returns a reason code if it has
something to say. It may move either price, lower either size, or silence a
side; a silenced side stays silent, with the first reason given. The sheet is
local to one call of `decide`, so the decision as a whole is a pure function
though its stages write.

Prices are floats in ten-thousandths of a dollar until `snap` turns them into
ticks of the market's own grid; log-odds (``x``) serve the stages that must
keep a probability inside 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp, log
from typing import Generic

from libs.common.domain.grid import PriceGrid
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.execution import PositionV1
from libs.common.messages.market import BookV1, SignalV1
from services.strategy.core.settings import M

P_MIN = 1e-6
"""Probabilities are kept this far from 0 and 1, so that log-odds stay finite."""


class Work(Generic[M]):
    """One market, one moment: inputs, the two prices and sizes as they stand, and what was said."""

    __slots__ = (
        "ask_e2",
        "ask_e4",
        "ask_reason",
        "best_ask_e4",
        "best_bid_e4",
        "bid_e2",
        "bid_e4",
        "bid_reason",
        "book",
        "fair_e4",
        "grid",
        "is_reducing_only",
        "net_ask",
        "net_bid",
        "position",
        "position_e2",
        "reservation_e4",
        "settings",
        "signals",
        "tick_e4",
        "to_close_ms",
        "trading_enabled",
        "x",
    )

    def __init__(
        self,
        book: BookV1,
        position: PositionV1 | None,
        settings: M,
        signals: Mapping[str, SignalV1],
        *,
        trading_enabled: bool,
    ) -> None:
        self.book = book
        self.position = position
        self.settings = settings
        self.signals = signals
        self.trading_enabled = trading_enabled
        self.grid: PriceGrid
        self.tick_e4 = 100
        self.to_close_ms = book.close_ms - book.as_of_ms
        self.position_e2 = 0
        self.best_bid_e4 = 0
        """Displayed touch, own orders included: what a post-only order must not cross."""
        self.best_ask_e4 = 0
        self.net_bid = (0, 0)
        """Touch without own orders: price and quantity."""
        self.net_ask = (0, 0)
        self.x = 0.0
        self.fair_e4: float | None = None
        self.reservation_e4 = 0.0
        self.bid_e4 = 0.0
        self.ask_e4 = 0.0
        self.bid_e2 = settings.size_e2
        self.ask_e2 = settings.size_e2
        self.is_reducing_only = False
        self.bid_reason: tuple[str, str] | None = None
        """Why the bid is silent, and detail."""
        self.ask_reason: tuple[str, str] | None = None

    @property
    def is_silent(self) -> bool:
        """Return whether neither side will be quoted."""
        return self.bid_reason is not None and self.ask_reason is not None

    def silence(self, side: Side, reason: Reason, detail: str = "") -> None:
        """Give up one side; the first reason holds."""
        if side is Side.BID:
            self.bid_reason = self.bid_reason or (reason.value, detail)
        else:
            self.ask_reason = self.ask_reason or (reason.value, detail)

    def silence_both(self, reason: Reason, detail: str = "") -> str:
        """Give up both sides and return the code for the stage's record."""
        self.silence(Side.BID, reason, detail)
        self.silence(Side.ASK, reason, detail)
        return reason.value

    def set_centre_e4(self, price_e4: float) -> None:
        """Move both prices to one centre."""
        self.bid_e4 = self.ask_e4 = price_e4
        self.x = logit(price_e4 / 10_000.0)

    def set_centre_x(self, x: float) -> None:
        """Move both prices to one centre given in log-odds."""
        self.x = x
        self.bid_e4 = self.ask_e4 = 10_000.0 * expit(x)


Stage = Callable[[Work[M]], str]
"""Changes the sheet; returns a reason code, or an empty string when there is nothing to say."""


def logit(p: float) -> float:
    """Return the log-odds of a probability, kept away from 0 and 1."""
    p = min(1.0 - P_MIN, max(P_MIN, p))
    return log(p / (1.0 - p))


def expit(x: float) -> float:
    """Return the probability of log-odds."""
    if x >= 0.0:
        return 1.0 / (1.0 + exp(-x))
    e = exp(x)
    return e / (1.0 + e)
