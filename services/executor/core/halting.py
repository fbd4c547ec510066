"""Halts and resumes as they reach the executor, on three carriers that are OR-ed.

Whatever says "halt" closes the gate first and starts the kill ladder; the local
file is written next, so that the halt survives the loss of the bus. A resume counts
only when the control stream says so by itself: its newest halt is named. The file
follows the stream, except for a halt that the stream never got: that one is stored
again in the executor's name before anything can lift it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.common.control.latch import LatchState
from libs.common.messages.control import ScopeKind
from libs.common.runtime.latch_file import UNSTORED, LatchWord
from services.executor.core.account import Account
from services.executor.core.effects import Effect, Log, StartKill, WriteLatch


@dataclass(slots=True)
class Halting:
    """The executor's own halt state.

    Attributes:
        account: Whose gate is closed.
        word: What the local file says.
        is_killed: True from the start of a kill until the resume after it: its groups are dead.
    """

    account: Account
    word: LatchWord
    is_killed: bool = False
    halts: int = 0
    _was_halted: bool = True
    _has_heard: bool = False
    """Whether the word is of a halt that this process heard, whose stored copy it will see."""

    def on_latch(self, state: LatchState) -> list[Effect]:
        """Take what the control stream says now."""
        gate = self.account.gate
        gate.latch = state
        ordered = next((one for one in state.halts if one.halt.scope is ScopeKind.ACCOUNT), None)
        if state.source == "unreadable" and ordered is not None:
            # The stream is away and somebody halts all the same: the core subject alone must be enough.
            return self._on_halted(replace(state, source=ordered.source, reason=ordered.halt.reason))
        if state.source == "unreadable":
            return []  # closed, but nobody ordered it: permits and renewals decide how long orders may rest
        if state.is_halted:
            return self._on_halted(state)
        if self.word.halt_sequence == UNSTORED:
            gate.file_reason = self.word.reason
            return []  # the shell stores it; the stream then says halted
        gate.file_reason = ""
        effects: list[Effect] = []
        if self.word.is_halted or self.word.halt_sequence != state.halt_sequence:
            self.word = LatchWord(False, state.halt_sequence, "resumed")
            effects.append(WriteLatch(is_halted=False, halt_sequence=state.halt_sequence, reason="resumed"))
        if self._was_halted:
            self._was_halted = False
            effects.append(
                Log(
                    "RESUME",
                    fields={
                        "halt_sequence": state.halt_sequence,
                        "resume_sequence": state.resume_sequence,
                    },
                )
            )
        if self.is_killed and not gate.is_killing:
            self.is_killed = False
            effects.append(self.account.take_over("resumed after a halt: its order groups are dead"))
        return effects

    def on_stored(self, sequence: int) -> None:
        """A halt that only we knew is in the stream now."""
        if self.word.halt_sequence == UNSTORED:
            self.word = LatchWord(True, sequence, self.word.reason)
            self._has_heard = False

    def _on_halted(self, state: LatchState) -> list[Effect]:
        effects: list[Effect] = []
        account = [one for one in state.halts if one.halt.scope is ScopeKind.ACCOUNT]
        heard = next((one.halt.reason for one in account if not one.sequence), None)
        sequence = UNSTORED if heard is not None else next((one.sequence for one in account), 0)
        if not self._was_halted:
            # Halted since the start needs no ladder: recovery lists until nothing rests, and the gate was
            # never open.
            self.halts += 1
            self._was_halted = self.is_killed = True
            effects.append(StartKill(f"{state.source}: {state.reason}"))
            effects.append(
                Log(
                    "HALT",
                    level="WARNING",
                    fields={
                        "source": state.source,
                        "reason": state.reason,
                        "halt_sequence": state.halt_sequence,
                        "level_word": state.level.value,
                    },
                )
            )
        # A word that an earlier process could not store is replaced by nothing but its own stored copy.
        is_kept = self.word.halt_sequence == UNSTORED and not self._has_heard
        is_new = sequence not in (0, self.word.halt_sequence) and not is_kept
        if not self.word.is_halted or is_new:
            reason = state.reason if heard is None else heard
            self.word = LatchWord(True, sequence, reason)
            self._has_heard = sequence == UNSTORED
            effects.append(WriteLatch(is_halted=True, halt_sequence=sequence, reason=reason))
        return effects
