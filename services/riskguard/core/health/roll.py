"""Who is alive, and what they say of themselves: the heartbeats of every service.

Rules of the file:

* An instance is alive while its last beat is younger than `ALIVE_NS`: four beats,
  half a second longer than a process lives that does not hear its own.
* A service is silent only when all of its instances are.
* Memory is bounded whatever names are heard: the longest silent makes room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from libs.common.messages.health import BeatV1

ALIVE_NS: Final = 2_000_000_000
NEEDED: Final = ("marketdata", "strategy")
"""Must be heard. The executor and the reconciler have triggers of their own, and we hear ourselves."""
UNKNOWN_BUILD: Final = frozenset({"", "unknown"})
_LAGS_KEPT: Final = 4
"""Two seconds of beats: a loop that was late a moment ago is not yet trusted."""
_INSTANCES_MAX: Final = 256
_MS: Final = 1_000_000


@dataclass(slots=True)
class Heard:
    """One instance. ``lags`` holds arrival, nanoseconds, and what was told, milliseconds."""

    beat: BeatV1
    heard_ns: int
    lags: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_LAGS_KEPT))


class Roll:
    """All instances that were heard; ``start_ns`` is when we began to listen."""

    def __init__(self, start_ns: int | None = None) -> None:
        self._start_ns = start_ns
        self._last_ns: dict[str, int] = {}
        self._heard: dict[tuple[str, str], Heard] = {}

    def on_tick(self, now_ns: int) -> None:
        """Begin the grace of services that were never heard, which is as long as any other silence."""
        if self._start_ns is None:
            self._start_ns = now_ns

    def on_beat(self, beat: BeatV1, now_ns: int) -> None:
        """Take a heartbeat."""
        if beat.service in NEEDED:
            self._last_ns[beat.service] = now_ns
        key = (beat.service, beat.instance)
        heard = self._heard.pop(key, None)
        if heard is None:
            heard = Heard(beat, now_ns)
            if len(self._heard) >= _INSTANCES_MAX:
                del self._heard[next(iter(self._heard))]
        # Taken out and put back: the first is always the one that has been silent for longest.
        self._heard[key] = heard
        heard.beat, heard.heard_ns = beat, now_ns
        if beat.loop_lag_ms is not None:
            heard.lags.append((now_ns, beat.loop_lag_ms))

    def silences_ms(self, now_ns: int) -> dict[str, int]:
        """Return how long each needed service has been silent; one never heard, since we listen."""
        start_ns = now_ns if self._start_ns is None else self._start_ns
        return {name: (now_ns - self._last_ns.get(name, start_ns)) // _MS for name in NEEDED}

    def lags_ms(self, now_ns: int) -> dict[str, int]:
        """Return the worst loop lag that each living instance told within the last beats."""
        lags = {}
        for name, heard in self._alive(now_ns):
            recent = [lag_ms for at_ns, lag_ms in heard.lags if now_ns - at_ns <= ALIVE_NS]
            if recent:
                lags[name] = max(recent)
        return lags

    def build_problems(self, now_ns: int) -> list[str]:
        """Return which living instances say builds, or configurations of one service, that differ."""
        builds: dict[str, str] = {}
        hashes: dict[str, dict[str, str]] = {}
        for name, heard in self._alive(now_ns):
            beat = heard.beat
            if beat.build not in UNKNOWN_BUILD:
                builds.setdefault(beat.build, name)
            hashes.setdefault(beat.service, {}).setdefault(beat.config_hash, name)
        problems = []
        if len(builds) > 1:
            told = sorted(f"{name} is {build}" for build, name in builds.items())
            problems.append(f"builds differ: {', '.join(told)}")
        for service, by_hash in sorted(hashes.items()):
            if len(by_hash) > 1:
                told = sorted(f"{name} has {digest or 'none'}" for digest, name in by_hash.items())
                problems.append(f"configurations of {service} differ: {', '.join(told)}")
        return problems

    def unknown_builds(self, now_ns: int) -> list[str]:
        """Return the living instances that do not say which build they are."""
        return sorted(name for name, heard in self._alive(now_ns) if heard.beat.build in UNKNOWN_BUILD)

    def _alive(self, now_ns: int) -> Iterator[tuple[str, Heard]]:
        for (service, instance), heard in self._heard.items():
            if now_ns - heard.heard_ns <= ALIVE_NS:
                yield f"{service}/{instance}", heard
