"""The three carriers of a halt, OR-ed: control stream, core subject, local file.

The fold of `libs/common/control/latch.py` does the first two. The file is the
third: it remembers a halt when the stream was lost or restored from an old copy.
Rules of the file:

* Absent or unreadable is halted, so a machine that forgot everything starts halted.
* A file that knows a newer halt than the stream does, lifted or not, is believed: the
  stream was lost, or restored from an old copy, and nobody knows what it lacks.
* A halted file is lifted by a resume that names its halt or a newer one. Where the
  stream does not know its halt, that is stored again in our own name, so that a resume
  can name it.
* A halt that was heard and not stored has no sequence; in the file that is `UNSTORED`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.control.admission import Admission
from libs.common.control.latch import LatchFold, LatchState
from libs.common.messages.control import HaltV1, ResumeV1, ScopeKind
from libs.common.runtime.latch_file import UNSTORED, LatchWord


@dataclass(frozen=True, slots=True)
class WriteLatch:
    """Write the local file, durably."""

    is_halted: bool
    halt_sequence: int
    reason: str
    stamp: str = ""
    """When the stream stored that halt; empty where that is not known."""


@dataclass(slots=True)
class Latches:
    """Folds the carriers."""

    word: LatchWord
    admission: Admission
    fold: LatchFold = field(default_factory=LatchFold)
    _is_read: bool = False
    _was_halted: bool = True
    _written: tuple[bool, int, str] | None = None
    _restores: bool = False

    def state(self) -> LatchState:
        """Return what stream and core subject say; the file speaks through :meth:`settle`."""
        return self.fold.state()

    def on_halt(self, sequence: int, source: str, halt: HaltV1, stamp: str | None = "") -> None:
        """Take a stored halt; ``stamp`` is the stream's time of storing, None for an acknowledged one."""
        self.fold.on_halt(sequence, source, halt, stamp)

    def on_heard(self, source: str, halt: HaltV1, way: str = "bus") -> None:
        """Take a halt from the core subject, or one of our own on its way there."""
        self.fold.on_heard(source, halt, way)

    def on_resume(self, sequence: int, resume: ResumeV1, stored_ms: int, now_ms: int) -> str:
        """Take a stored resume; return why it does not count, the first time that it is seen."""
        return self.admission.resume(self.fold, sequence, resume, stored_ms, now_ms)

    def on_lost(self) -> None:
        """Forget the stream: it is another one, and will be read whole."""
        self.fold = LatchFold()
        self.admission.forget()
        self._is_read = self._restores = False
        self._written = None

    def on_readable(self) -> None:
        """Say that the control stream has been read up to now."""
        self.fold.readable()
        self._is_read = True

    def on_unreadable(self, why: str) -> None:
        """Say that it could not be read: halted."""
        self.fold.unreadable(why)
        self._is_read = False

    def settle(self) -> tuple[WriteLatch | None, HaltV1 | None]:
        """Return what to write into the file, and a halt that only the file remembers, to be stored again."""
        state = self.state()
        if not self._is_read:
            return self._settle_heard(state), None
        if self.is_local:
            # The stream knows nothing of the halt in the file, or of any file: it is not the stream we knew.
            self._restores = True
            reason = f"local latch: {self._told()}"
            return None, HaltV1(reason=reason, level=self.word.level, trigger="local_latch", by="riskguard")
        sequence = state.halt_sequence
        stamp = state.stamps.get(sequence, "")
        if stamp is None or any(halted.sequence == 0 for halted in state.halts):
            # What the stream has not shown yet names nothing that a file could hold on to.
            sequence, stamp = (UNSTORED if state.is_halted else sequence), ""
        if (state.is_halted, sequence, stamp) == self._written:
            return None, None
        reason = state.reason if state.is_halted else f"resumed by record {state.resume_sequence}"
        return self._write(state.is_halted, sequence, reason, stamp), None

    @property
    def is_local(self) -> bool:
        """Return whether the file says more than the stream does, and nobody has told the stream yet."""
        if self._written is not None or self._restores:
            return False
        state, word = self.state(), self.word
        if state.is_of_another_stream(word.halt_sequence, word.stamp):
            return True
        # Below 0 (`UNSTORED`): heard and never stored, or a file that cannot be read; 0: no file.
        return word.is_halted and (word.halt_sequence < 0 or (not word.halt_sequence and not state.is_halted))

    def _told(self) -> str:
        if self.word.is_halted:
            return self.word.reason
        return f"resumed after halt {self.word.halt_sequence}, which the stream does not know"

    def _settle_heard(self, state: LatchState) -> WriteLatch | None:
        """Write down a halt that was heard while the stream cannot be read: nothing else may remember it."""
        heard = next((h for h in state.halts if not h.sequence and h.halt.scope is ScopeKind.ACCOUNT), None)
        if heard is None or self._written == (True, UNSTORED, ""):
            return None
        return self._write(is_halted=True, halt_sequence=UNSTORED, reason=heard.halt.reason)

    def _write(self, is_halted: bool, halt_sequence: int, reason: str, stamp: str = "") -> WriteLatch:  # noqa: FBT001
        self._written = (is_halted, halt_sequence, stamp)
        self.word = LatchWord(is_halted, halt_sequence, reason, stamp=stamp)
        return WriteLatch(is_halted, halt_sequence, reason, stamp)
