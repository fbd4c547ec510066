"""How late the event loop is: the first sign that a process decides on old news.

The measure is an overslept sleep. More than a quarter of a second is a fault
(reliability 1.7): it is logged, and whoever quotes can ask for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, NoReturn

from libs.common.observability.metrics import Metrics
from libs.common.runtime.clock import Clock
from libs.common.runtime.log import EventLog

_PERIOD_S: Final = 0.1
_KEPT: Final = 100
"""Ten seconds of measures."""
FAULT_S: Final = 0.25


class LoopLag:
    """Measures for as long as :meth:`run` runs."""

    def __init__(self, clock: Clock, metrics: Metrics, log: EventLog) -> None:
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._recent_ns: deque[int] = deque([0], maxlen=_KEPT)
        self._due_ns: int | None = None
        """When the sleep under way should end."""
        self._untold_ns = 0

    @property
    def last_ns(self) -> int:
        """Return the latest measure."""
        return self._recent_ns[-1]

    @property
    def max_ns(self) -> int:
        """Return the worst of the last ten seconds."""
        return max(self._recent_ns)

    def tell_worst_ns(self) -> int:
        """Return the worst since this was last asked, what is overdue right now included."""
        worst_ns, self._untold_ns = max(self._untold_ns, self._overdue_ns()), 0
        return worst_ns

    def _overdue_ns(self) -> int:
        # After a stall whoever wakes first asks: the sleep's own end may come after the heartbeat.
        return 0 if self._due_ns is None else max(0, self._clock.mono_ns() - self._due_ns)

    async def run(self) -> NoReturn:
        """Measure until cancelled."""
        while True:
            self._due_ns = self._clock.mono_ns() + int(_PERIOD_S * 1e9)
            await asyncio.sleep(_PERIOD_S)
            late_ns = self._overdue_ns()
            self._untold_ns = max(self._untold_ns, late_ns)
            self._recent_ns.append(late_ns)
            self._metrics.gauge("event_loop_lag_seconds", late_ns / 1e9)
            self._metrics.gauge("event_loop_lag_max_seconds", self.max_ns / 1e9)
            if late_ns > FAULT_S * 1e9:
                self._log.once("loop lag", "LOOP_LAG", late_ms=late_ns // 1_000_000)
