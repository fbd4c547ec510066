"""How often services start: a crash loop is a halt, not a nuisance (F14).

Rules of the file:

* A start is a new run or instance, or a heartbeat counter that begins again.
* Starts are counted per service as one process would have them: those that died
  within the window, and one that lives. Four replicas that start together are one
  start, a rolling restart is none, and the fourth start of a lone process is four.
* Who is silent is dead only while others are heard: time counts from heartbeat to
  heartbeat, whoever's, and no gap for more than `GAP_NS`. When the bus is away, or
  we ourselves stood still, nobody has died of it.
* An instance first heard with a high counter started that many beats ago: our own
  restart does not make everybody young.
* The executor's epochs count beside its heartbeats, the larger of the two, by the
  time at which the stream stored them: they are there after our own restart, when
  every earlier heartbeat is forgotten. A leader that takes over from itself, as it
  does after each resume, has not started.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from libs.common.messages.execution import EpochV1
from libs.common.messages.health import BeatV1

BEAT_NS: Final = 500_000_000
"""How often a process says its counter (`libs/common/bus/echo.py`)."""
LIVING_NS: Final = 1_500_000_000
"""Silent for longer, an instance is dead: it hears itself or ends after as much."""
GAP_NS: Final = 600_000_000
"""Our own heartbeat alone comes more often, as long as we hear anything."""
EXECUTOR: Final = "executor"
_BOOTS_KEPT: Final = 64
_SERVICES_MAX: Final = 32
_MS: Final = 1_000_000


@dataclass(slots=True)
class Boot:
    """One start of one instance."""

    instance: str
    run: str
    born_ns: int
    heard_at: int
    """By the time that passes only while anybody is heard, nanoseconds."""
    counter: int


@dataclass(slots=True)
class Boots:
    """The starts of all services within ``window_ms``."""

    window_ms: int
    _boots: dict[str, deque[Boot]] = field(default_factory=dict)
    _epochs: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Epoch number to when it was stored, and who took it."""
    _last_ns: int | None = None
    _heard_ns: int = 0
    """How long anybody was heard."""

    def on_beat(self, beat: BeatV1, now_ns: int) -> None:
        """Take a heartbeat."""
        self._heard_ns += 0 if self._last_ns is None else min(now_ns - self._last_ns, GAP_NS)
        self._last_ns = now_ns
        boots = self._boots.get(beat.service)
        if boots is None:
            if len(self._boots) >= _SERVICES_MAX:
                return
            boots = self._boots[beat.service] = deque(maxlen=_BOOTS_KEPT)
        known = next((boot for boot in reversed(boots) if boot.instance == beat.instance), None)
        if known is None or known.run != beat.run or beat.counter < known.counter:
            born_ns = now_ns - beat.counter * BEAT_NS
            boots.append(Boot(beat.instance, beat.run, born_ns, self._heard_ns, beat.counter))
            return
        known.heard_at, known.counter = self._heard_ns, beat.counter

    def on_epoch(self, epoch: EpochV1, stored_ms: int) -> None:
        """Take an executor's epoch, stored ones from before our start included; each counts once."""
        self._epochs[epoch.number] = (stored_ms, f"{epoch.holder}/{epoch.run}")
        if len(self._epochs) > _BOOTS_KEPT:
            del self._epochs[min(self._epochs)]

    def counts(self, now_ns: int, now_ms: int) -> dict[str, int]:
        """Return how often each service started within the window."""
        counts = {service: self._count(boots, now_ns) for service, boots in self._boots.items()}
        if starts := self._leaders(now_ms):
            counts[EXECUTOR] = max(starts, counts.get(EXECUTOR, 0))
        return counts

    def _leaders(self, now_ms: int) -> int:
        """Return how often somebody else took the lead within the window."""
        starts, before = 0, ""
        for _, (stored_ms, leader) in sorted(self._epochs.items()):
            starts += leader != before and now_ms - stored_ms <= self.window_ms
            before = leader
        return starts

    def _count(self, boots: deque[Boot], now_ns: int) -> int:
        window_ns = self.window_ms * _MS
        young = [boot for boot in boots if now_ns - boot.born_ns <= window_ns]
        # A process that began again under its own name has ended before, however lately it was heard.
        newest = {boot.instance: boot for boot in boots}
        living = [
            boot
            for boot in young
            if newest[boot.instance] is boot and self._heard_ns - boot.heard_at <= LIVING_NS
        ]
        return len(young) - len(living) + bool(living)
