"""What the triggers of this area see at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConductView:
    """How we behaved at the venue, as far as we saw it.

    Attributes:
        fills_last_minute: Fills, each once.
        contracts_last_minute_e2: What they filled, hundredths of contracts.
        messages_last_minute: Creates, amends, decreases and cancels of ours that the venue told of.
        repeated: The decision that was executed most often within the window: market, side, price.
        repeated_executions: How often.
        self_trades: Trades of the day whose both sides are ours.
        orders_last_ten_minutes: Orders placed or moved.
        trades_last_ten_minutes: Fills in the same time.
        oldest_unknown: Client order id that the executor has called unknown for longest.
        oldest_unknown_ms: For how long.
        oldest_orphan: Client order id of ours that has rested for longest without anybody knowing it.
        oldest_orphan_ms: For how long.
        foreign_orders: Resting orders without our prefix; told, never touched.
        api_requests_last_minute: Requests of executor and riskguard that had an end, good or bad.
        api_errors_last_minute: Those that ended in a 5xx, a timeout, or words that cannot be read.
        rate_limited_last_minute: Those that were refused for lack of tokens (429).
    """

    fills_last_minute: int = 0
    contracts_last_minute_e2: int = 0
    messages_last_minute: int = 0
    repeated: str = ""
    repeated_executions: int = 0
    self_trades: int = 0
    orders_last_ten_minutes: int = 0
    trades_last_ten_minutes: int = 0
    oldest_unknown: str = ""
    oldest_unknown_ms: int = 0
    oldest_orphan: str = ""
    oldest_orphan_ms: int = 0
    foreign_orders: int = 0
    api_requests_last_minute: int = 0
    api_errors_last_minute: int = 0
    rate_limited_last_minute: int = 0

    @property
    def orders_per_trade_e2(self) -> int:
        """Return orders placed or moved for each fill, in hundredths; no fill counts as one."""
        return self.orders_last_ten_minutes * 100 // max(1, self.trades_last_ten_minutes)
