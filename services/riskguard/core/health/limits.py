"""What the machinery may come to: no field has a default, and zero means zero."""

from __future__ import annotations

from typing import Annotated

import msgspec

NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class HealthLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Silences, clocks, loops, restarts and builds.

    Attributes:
        service_silence_ms: Pause when no instance of marketdata, or none of strategy, was heard for longer.
        clock_step_ms: Halt when our wall clock moved by more against our monotonic one.
        clock_skew_ms: Halt when a clock is proven to differ from ours by more: the exchange's, a service's.
        clock_skew_warn_ms: Tell it in the log when it is proven to differ by more.
        loop_lag_ms: Pause when the event loop of a service was later.
        exchange_silence_ms: Pause when the exchange did not tell for longer whether it trades.
        boots_max: Halt when one service started more often within `boots_window_ms`.
        boots_window_ms: See `boots_max`.
        is_build_required: Whether a service that does not tell its build pauses, or is only told of.
    """

    service_silence_ms: NotNegative
    clock_step_ms: NotNegative
    clock_skew_ms: NotNegative
    clock_skew_warn_ms: NotNegative
    loop_lag_ms: NotNegative
    exchange_silence_ms: NotNegative
    boots_max: NotNegative
    boots_window_ms: NotNegative
    is_build_required: bool
