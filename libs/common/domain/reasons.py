"""Why there is no quote, no order, or a closed gate: one code each, no silence without one.

Codes are stable, lower case, and end up in audit records, metrics and `dora
explain`. A path that yields nothing must name one of these (design rule 12).
"""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """Reason codes of strategy (a side not quoted) and executor (a quote not sent)."""

    # strategy: why a side is silent
    MARKET_DISABLED = "market_disabled"
    TRADING_DISABLED = "trading_disabled"
    NO_BOOK = "no_book"
    NO_POSITION = "no_position"
    OWN_STATE_UNKNOWN = "own_state_unknown"
    STALE_BOOK = "stale_book"
    MARKET_NOT_ACTIVE = "market_not_active"
    TRADING_PAUSED = "trading_paused"
    CLOSING_SOON = "closing_soon"
    EMPTY_BOOK = "empty_book"
    CROSSED_BOOK = "crossed_book"
    SPREAD_TOO_NARROW = "spread_too_narrow"
    INVENTORY_CAP = "inventory_cap"
    EXPOSURE_CAP = "exposure_cap"
    SIZE_BELOW_MINIMUM = "size_below_minimum"
    PRICE_OUT_OF_RANGE = "price_out_of_range"
    TOXIC_FLOW = "toxic_flow"
    REDUCE_ONLY = "reduce_only"
    SIDE_DISABLED = "side_disabled"
    EVENT_INCOHERENT = "event_incoherent"
    STRATEGY_ERROR = "strategy_error"
    # executor: why a quote was not sent now
    GATE_CLOSED = "gate_closed"
    TARGET_EXPIRED = "target_expired"
    TARGET_SUPERSEDED = "target_superseded"
    REQUEST_IN_FLIGHT = "request_in_flight"
    MARKET_QUARANTINED = "market_quarantined"
    WITHIN_TOLERANCE = "within_tolerance"
    BUDGET_EXHAUSTED = "budget_exhausted"
    RISK_REFUSED = "risk_refused"
    CANCEL_FIRST = "cancel_first"
    NO_ORDER_GROUP = "no_order_group"
    QUEUE_KEPT = "queue_kept"
    SIZE_RAMP = "size_ramp"
