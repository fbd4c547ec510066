"""The limits under all changes that the control stream holds, and who owns which.

The guard writes every change, its own and the executor's, but holds only its own
configuration: what the executor's limits are configured as is the executor's word. As
long as it has not said it, its limits can be tightened and not loosened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from libs.common.control.admission import Admission
from libs.common.control.limits import LimitFold, LimitNow, flat
from libs.common.messages.risk import LimitV1
from libs.common.risk.limits import RiskLimits
from services.riskguard.core.effects import Log
from services.riskguard.core.limit_desk import (
    LimitAnswer,
    LimitDesk,
    LimitRequest,
    SetLimit,
    read_request,
    refuse,
)
from services.riskguard.core.limits import Limits
from services.riskguard.core.resume import Limited

EXECUTORS: Final = frozenset(RiskLimits.__struct_fields__)

_ANY: Final = (1 << 63) - 1
_SMALLER_IS_TIGHTER: Final = (
    "_e2",
    "_e4",
    "_e6",
    "_max",
    "_per_minute",
    "_age_ms",
    "_silence_ms",
    "_step_ms",
    "_skew_ms",
    "_lag_ms",
    "share_e4",
    "orders_per_trade",
    "repeated_executions",
    "self_trades",
    "trading_enabled",
)


def is_changeable(name: str) -> bool:
    """Return whether a limit lets less through the smaller it is.

    Windows, samples and days left are the shape of a rule: they change with the configuration.
    """
    return name in EXECUTORS or name.endswith(_SMALLER_IS_TIGHTER)


@dataclass(slots=True)
class LimitChanges:
    """See the module.

    Attributes:
        configured: The guard's own limits as its configuration says.
        fold: Every change, of whoever's limits.
        desk: Where they are changed.
        admission: Judges stored raises.
        executors: The executor's configured limits by name, empty until it said them.
    """

    configured: Limits
    fold: LimitFold
    desk: LimitDesk
    admission: Admission
    executors: Mapping[str, int] = field(default_factory=dict)

    def on_change(self, sequence: int, limit: LimitV1, stored_ms: int) -> list[Log]:
        """Take a stored change; one that does not count is told once."""
        _, refusal = self.admission.limit(self.fold, sequence, limit, stored_ms)
        return [Log("LIMIT_REFUSED", refusal, fields={"sequence": sequence})] if refusal else []

    def in_use(self, now_ms: int) -> Limits:
        """Return the guard's limits as they hold now."""
        return self.fold.applied(self.configured, now_ms)

    def on_request(self, data: bytes, now_ns: int, now_ms: int, nonce: str) -> LimitAnswer | SetLimit:
        """Take either step of a change."""
        request = read_request(data)
        if isinstance(request, str):
            return LimitAnswer(is_accepted=False, step=1, refusals=(request,))
        if request.name not in EXECUTORS and request.name not in flat(self.configured):
            return refuse(1, request, None, "a limit of riskguard or executor, see `dora limits`")
        if not is_changeable(request.name):
            return refuse(
                1, request, None, "a limit that is tighter the smaller it is; this one is a setting"
            )
        return self.desk.on_request(request, self._now(request, now_ms), self.fold, now_ns, now_ms, nonce)

    def all_now(self, now_ms: int) -> tuple[LimitNow, ...]:
        """Return every limit whose configuration is known, the guard's own first."""
        known = {**flat(self.configured), **self.executors}
        return tuple(self.fold.now(name, cap, now_ms) for name, cap in known.items())

    def limited(self, now_ms: int) -> Limited:
        """Return what a resume tells of limits: those that were changed."""
        known = self.all_now(now_ms)
        names = {now.name for now in known}
        # The executor did not say what is configured; that somebody changed it is known all the same.
        unknown = [self.fold.now(name, _ANY, now_ms) for name in self.fold.names if name not in names]
        changed = tuple(now for now in (*known, *unknown) if now.change is not None)
        return Limited(changed, self.fold.hash())

    def told(self, was: Limits, now_ms: int) -> list[Log]:
        """Return one line for each limit of the guard that is another than it was."""
        before, caps = flat(was), flat(self.configured)
        lines = []
        for name, cap in caps.items():
            now = self.fold.now(name, cap, now_ms)
            if now.value == before[name]:
                continue
            by, reason = (now.change.by, now.change.reason) if now.change else ("", "a change ended")
            fields = {"limit": name, "was": before[name], "value": now.value, "by": by}
            level = "WARNING" if now.value < before[name] else "INFO"
            lines.append(Log("LIMIT_CHANGED", reason, level, fields))
        return lines

    def _now(self, request: LimitRequest, now_ms: int) -> LimitNow | None:
        caps = self.executors if request.name in EXECUTORS else flat(self.configured)
        cap = caps.get(request.name)
        return None if cap is None else self.fold.now(request.name, cap, now_ms)
