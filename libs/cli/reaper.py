"""The process that outlives a killed `dora` and takes its children along.

`dora` starts this first and tells it through a pipe what it starts
(``+ <stage> <pid>``) and what has ended (``- <pid>``). The pipe closes when `dora` is
gone, however it went, a ``kill -9`` included. What is still listed then is
stopped in the usual order: stage by stage, SIGTERM, a bounded wait, SIGKILL.
After an orderly stop the list is empty and the reaper just leaves. Only the
standard library is used, and no other module of ours, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 8.0
_POLL_S = 0.05


def listed(lines: Iterable[str]) -> dict[int, int]:
    """Return the stage of every process that was started and not reported ended."""
    alive: dict[int, int] = {}
    for line in lines:
        match line.split():
            case ["+", stage, pid]:
                alive[int(pid)] = int(stage)
            case ["-", pid]:
                alive.pop(int(pid), None)
    return alive


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell a process that has ended and waits to be noticed; only Linux can say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 - fast start
            return stat.read().rpartition(")")[2].split()[:1] == ["Z"]
    except OSError:
        return False


def stop_all(alive: dict[int, int], grace_s: float = GRACE_S) -> None:
    """Stop the listed processes, the lowest stage first."""
    for stage in sorted(set(alive.values())):
        pids = [pid for pid, its_stage in alive.items() if its_stage == stage]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline_s = time.monotonic() + grace_s
        while any(map(_is_alive, pids)) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        for pid in filter(_is_alive, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Read until the parent is gone, then clean up after it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stop_all(listed(sys.stdin))


if __name__ == "__main__":
    main()
