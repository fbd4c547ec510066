"""What this area may come to: no field has a default, and zero means zero."""

from __future__ import annotations

from typing import Annotated

import msgspec

NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class ConductLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How we may behave at the venue.

    Attributes:
        fills_per_minute: More fills within a minute halt.
        contracts_per_minute_e2: More filled within a minute, hundredths of contracts, halt.
        messages_per_minute: More creates, amends, decreases and cancels of ours within a minute halt. A mass
            cancel counts every order that it ends, so this lies above what may rest at once.
        repeated_executions: More executions of one decision (market, side, price) within the window halt.
        repeated_window_ms: That window.
        self_trades: More trades of a day whose both sides are ours halt.
        orders_per_trade: More orders placed or moved for each fill within ten minutes halt at reduce-only.
        orders_per_trade_min: Before so many orders within ten minutes the ratio says nothing.
        unknown_age_ms: An order that the executor calls unknown for longer halts (I11).
        orphan_age_ms: An order of ours that nobody knows and that rests for longer halts.
        api_errors_per_minute: More failed requests within a minute halt.
        api_error_share_e4: A larger share of failed requests within a minute, ten-thousandths, halts.
        api_requests_min: Before so many requests within a minute the share says nothing.
        rate_limited_per_minute: More refusals for lack of tokens (429) within a minute halt.
    """

    fills_per_minute: NotNegative
    contracts_per_minute_e2: NotNegative
    messages_per_minute: NotNegative
    repeated_executions: NotNegative
    repeated_window_ms: Positive
    self_trades: NotNegative
    orders_per_trade: NotNegative
    orders_per_trade_min: NotNegative
    unknown_age_ms: NotNegative
    orphan_age_ms: NotNegative
    api_errors_per_minute: NotNegative
    api_error_share_e4: NotNegative
    api_requests_min: NotNegative
    rate_limited_per_minute: NotNegative
