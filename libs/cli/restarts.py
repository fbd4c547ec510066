"""When a process that died comes back: with growing pauses, and not for ever.

A pure rule, so that its every branch is a unit test. Exit code 2 means a wrong
configuration, which no restart mends. Anything else is restarted after a pause
that doubles from half a second to ten and is forgotten after thirty seconds of
life. A process that keeps dying stays down, loudly, and the rest keeps running.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

EXIT_CONFIG: Final = 2
PAUSE_S_MIN: Final = 0.5
PAUSE_S_MAX: Final = 10.0
HEALTHY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after a pause."""

    after_s: float


@dataclass(frozen=True, slots=True)
class StayDown:
    """Leave it down; the reason is for the operator."""

    reason: str


@dataclass(slots=True)
class RestartRule:
    """The history of one process.

    Attributes:
        restarts_max: So many restarts within ``window_s``; one more and it stays down.
        is_wanted: False for what must not come back, such as a simulated venue that has lost its world.
    """

    restarts_max: int = 10
    window_s: float = 300.0
    is_wanted: bool = True
    _pause_s: float = PAUSE_S_MIN
    _restarts: deque[float] = field(default_factory=deque)

    def on_exit(self, now_s: float, lived_s: float, code: int) -> Restart | StayDown:
        """Return what happens after an exit nobody asked for.

        Args:
            now_s: Monotonic seconds.
            lived_s: How long the process ran.
            code: Its exit code; negative is the signal that ended it.
        """
        if code == EXIT_CONFIG:
            return StayDown("its configuration was refused (exit code 2); a restart would not mend it")
        if not self.is_wanted:
            return StayDown("it does not come back: its state died with it")
        while self._restarts and now_s - self._restarts[0] > self.window_s:
            self._restarts.popleft()
        if len(self._restarts) >= self.restarts_max:
            return StayDown(f"it died more than {self.restarts_max} times in {self.window_s:.0f} s")
        if lived_s >= HEALTHY_S:
            self._pause_s = PAUSE_S_MIN
        pause_s = self._pause_s
        self._pause_s = min(PAUSE_S_MAX, pause_s * 2)
        self._restarts.append(now_s)
        return Restart(pause_s)
