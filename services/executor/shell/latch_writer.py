"""Write the local latch without holding up a halt: in memory at once, on disk by a thread of its own.

An fsync takes milliseconds on a good day. The requests of a kill ladder must not wait
for it, so a halt counts in memory from the first moment and is written beside them. A
resume is the other way round: the gate opens only when the disk has it.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from libs.common.messages.control import GateState
from libs.common.runtime.clock import Clock
from libs.common.runtime.latch_file import LatchFile
from libs.common.runtime.log import EventLog
from services.executor.core.effects import WriteLatch
from services.executor.core.gate import Gate


class LatchWriter:
    """One thread, so that what was said last is what the file says."""

    def __init__(self, latch: LatchFile, gate: Gate, clock: Clock, log: EventLog) -> None:
        self._latch = latch
        self._gate = gate
        self._clock = clock
        self._log = log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="latch")

    def write(self, effect: WriteLatch) -> None:
        """Obey at once; a halt is on disk soon after, a resume is when this returns."""
        now_ns = self._clock.now_ns()
        if effect.is_halted:
            self._shut(effect.reason or "halted", effect.level)
            halted = (effect.halt_sequence, effect.reason, now_ns, effect.level, effect.stamp)
            self._thread.submit(self._latch.halt, *halted).add_done_callback(self._on_done)
            return
        clear = (effect.halt_sequence, effect.reason, now_ns, effect.stamp)
        cleared = self._thread.submit(self._latch.clear, *clear)
        if self._has_failed(cleared):
            return
        self._gate.file_reason = ""

    def flush(self) -> None:
        """Wait until everything is on disk."""
        self._thread.submit(_nothing).result()

    def _on_done(self, future: Future[None]) -> None:
        # On the writer's thread: it only shuts, and reads nothing of the core.
        self._has_failed(future)

    def _has_failed(self, future: Future[None]) -> bool:
        error = future.exception()
        if error is None:
            return False
        # A halt that cannot be written still holds in memory; a resume that cannot does not happen.
        self._shut(f"local latch not writable: {error}", GateState.HALTED)
        self._log.error("local latch not writable", error)
        return True

    def _shut(self, reason: str, level: GateState) -> None:
        self._gate.file_level, self._gate.file_reason = level, reason


def _nothing() -> None:
    return
