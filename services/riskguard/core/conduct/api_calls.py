"""Count how the venue's API answered: the executor's counters, second by second, and our own reads.

A counter is compared with the answer before it of the same process; another run
starts anew, and so does one that said nothing for a minute, because nobody knows
when within that minute its errors were.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from libs.common.messages.health import StatusV1

_PROCESSES_MAX: Final = 16
_LIMITED: Final = "too_many_requests"


class Calls(NamedTuple):
    """How many requests ended, how many of them in an error, how many were refused for lack of tokens."""

    requests: int = 0
    errors: int = 0
    limited: int = 0


@dataclass(slots=True)
class ApiCalls:
    """Within ``length_ns``."""

    length_ns: int
    _said: dict[tuple[str, str], tuple[Calls, int]] = field(default_factory=dict)
    _recent: deque[tuple[int, Calls]] = field(default_factory=deque)

    def on_said(self, status: StatusV1, now_ns: int) -> None:
        """Take an executor's status; standbys answer too, each by its own counters."""
        process, now = (status.instance, status.run), _calls_of(status.counters)
        before, heard_ns = self._said.pop(process, (None, 0))
        self._said[process] = (now, now_ns)
        while len(self._said) > _PROCESSES_MAX:
            del self._said[next(iter(self._said))]
        if before is None or now_ns - heard_ns >= self.length_ns:
            return
        since = Calls(*(new - old for new, old in zip(now, before, strict=True)))
        if min(since) >= 0 and any(since):
            self._recent.append((now_ns, since))

    def on_read(self, now_ns: int) -> None:
        """Take a reading of our own that came whole."""
        self._recent.append((now_ns, Calls(requests=1)))

    def on_read_failed(self, reason: str, now_ns: int) -> None:
        """Take one that did not."""
        is_limited = _LIMITED in reason
        self._recent.append((now_ns, Calls(1, int(not is_limited), int(is_limited))))

    def recent(self, now_ns: int) -> Calls:
        """Return the sums."""
        while self._recent and now_ns - self._recent[0][0] >= self.length_ns:
            self._recent.popleft()
        sums = [sum(part) for part in zip(*(calls for _, calls in self._recent), strict=True)]
        return Calls(*sums) if sums else Calls()


def _calls_of(counters: dict[str, int]) -> Calls:
    return Calls(
        requests=counters.get("api_requests", 0),
        errors=counters.get("api_errors", 0),
        limited=counters.get("rate_limited", 0) + counters.get("reads_rate_limited", 0),
    )
