"""Fold the CONTROL stream into one word: halted, or not, and why.

Executor, riskguard and reconciler share this fold, so they cannot disagree about
what a halt or a resume means. Rules of the file:

* No record at all is halted: born halted, and an empty stream is a lost stream.
* Any halt latches, whatever its payload; the newest over all sources counts.
* A resume counts only if it names the newest halt before it. One that names an
  older halt, comes before the halt it names, or is malformed, lifts nothing. (The
  stream keeps few messages a source, so the halt it names may be gone when read
  again; then it must be newer than every halt still there before the resume.)
* Records may arrive twice or out of order (a live subscription beside a replay):
  the fold depends on sequences only, never on arrival.
* A halt heard on the core subject that the stream has not stored yet has no
  sequence. It latches by itself until its own stored copy arrives (`on_halt`) or the
  executor has stored it in its own name (`stored_for`), so that a resume can name
  it and losing the stream cannot lose the halt. An older halt of its source that is
  read again is not its copy; neither is one in other words, or one that was lifted
  before the stream was read whole.
* Unreadable is halted (`unreadable`), until a whole read succeeds (`readable`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.messages.control import GateState, HaltV1, ResumeV1, ScopeKind


@dataclass(frozen=True, slots=True)
class LatchState:
    """What the control stream says now.

    Attributes:
        is_halted: True unless a valid resume names the newest halt.
        halt_sequence: Stream sequence of the newest stored halt, 0 if none.
        resume_sequence: Stream sequence of the resume that lifted it, 0 if none.
        level: What is still allowed while halted: `HALTED`, `CANCEL_ONLY` or `REDUCE_ONLY`.
        reason: Why, in the words of the newest halt.
        source: Who halted.
        halts: Every unlifted account-wide or scoped halt, newest first.
    """

    is_halted: bool
    halt_sequence: int
    resume_sequence: int
    level: GateState
    reason: str
    source: str
    halts: tuple[Halted, ...] = ()


@dataclass(frozen=True, slots=True)
class Halted:
    """One unlifted halt."""

    sequence: int
    source: str
    halt: HaltV1

    def reaches(self, keys: Mapping[ScopeKind, str]) -> bool:
        """Return whether this halt covers something with these scope keys; account halts cover all.

        A strategy is named with its version and configuration hash; a halt may name
        less of it (``dora-maker`` reaches ``dora-maker/1/ab12cd34``).
        """
        scope, key = self.halt.scope, self.halt.scope_key
        if scope is ScopeKind.STRATEGY and (named := keys.get(scope)) is not None:
            return names_strategy(key, named)
        return scope is ScopeKind.ACCOUNT or keys.get(scope) == key


def names_strategy(key: str, strategy: str) -> bool:
    """Return whether a halt's key names this strategy: whole, or its first parts."""
    return strategy == key or strategy.startswith(f"{key}/")


# How strongly each level stops; the strongest unlifted one counts.
STRENGTH = {GateState.REDUCE_ONLY: 1, GateState.CANCEL_ONLY: 2, GateState.HALTED: 3}


_Heard = tuple[str, str, str, str]
"""Source, scope, its key, level: a narrower or weaker halt never replaces a wider or stronger one."""


def _heard_of(source: str, halt: HaltV1) -> _Heard:
    return (source, halt.scope.value, halt.scope_key, halt.level.value)


@dataclass(slots=True)
class LatchFold:
    """The fold; see the module's rules."""

    _halts: dict[int, tuple[str, HaltV1]] = field(default_factory=dict)
    _resumes: dict[int, ResumeV1] = field(default_factory=dict)
    _heard: dict[_Heard, HaltV1] = field(default_factory=dict)
    _unreadable: str = "control stream not read yet"

    def on_halt(self, sequence: int, source: str, halt: HaltV1) -> None:
        """Take one stored halt."""
        assert sequence > 0, sequence
        is_new = sequence not in self._halts
        self._halts[sequence] = (source, halt)
        if is_new and not self._unreadable and self._heard.get(_heard_of(source, halt)) == halt:
            del self._heard[_heard_of(source, halt)]

    def on_heard(self, source: str, halt: HaltV1) -> None:
        """Take a halt from the core subject; its stored copy comes before, later, or never."""
        if not self._is_stored(source, halt):
            self._heard[_heard_of(source, halt)] = halt

    def stored_for(self, source: str, halt: HaltV1 | None = None) -> None:
        """Say that the halt (or all) heard from this source now has a stored copy under another source."""
        for key, heard in list(self._heard.items()):
            if key[0] == source and halt in (None, heard):
                del self._heard[key]

    def on_resume(self, sequence: int, resume: ResumeV1) -> None:
        """Take one stored resume; validity is judged by sequences, see :meth:`state`."""
        assert sequence > 0, sequence
        self._resumes[sequence] = resume

    def unreadable(self, why: str) -> None:
        """Latch because the stream, or something in it, could not be read."""
        assert why, "a reason"
        self._unreadable = why

    def readable(self) -> None:
        """Say that the whole stream has been read up to now."""
        if self._unreadable:
            # Only now is it known which of the stored halts were lifted.
            self._heard = {k: halt for k, halt in self._heard.items() if not self._is_stored(k[0], halt)}
        self._unreadable = ""

    @property
    def heard(self) -> tuple[tuple[str, HaltV1], ...]:
        """Return the halts heard on the core subject whose stored copy has not arrived, by source."""
        return tuple((key[0], halt) for key, halt in sorted(self._heard.items()))

    def state(self) -> LatchState:
        """Return what all records together say."""
        lifted, resume_sequence = self._lifted_up_to()
        newest = max(self._halts, default=0)
        open_halts = tuple(
            Halted(sequence, source, halt)
            for sequence, (source, halt) in sorted(self._halts.items(), reverse=True)
            if sequence > lifted
        )
        heard = tuple(Halted(0, source, halt) for source, halt in self.heard)
        open_halts = heard + open_halts
        if self._unreadable:
            return LatchState(True, newest, 0, GateState.HALTED, self._unreadable, "unreadable", open_halts)
        if newest == 0 and not heard:
            return LatchState(True, 0, 0, GateState.HALTED, "no control record", "none")
        if not open_halts:
            return LatchState(False, newest, resume_sequence, GateState.RUNNING, "", "")
        account = [halted for halted in open_halts if halted.halt.scope is ScopeKind.ACCOUNT]
        if not account:
            # Only scopes are halted: the account runs, `LatchState.halts` says where it may not.
            return LatchState(False, newest, resume_sequence, GateState.RUNNING, "", "", open_halts)
        strongest = max(account, key=lambda halted: STRENGTH[halted.halt.level])
        return LatchState(
            True, newest, 0, strongest.halt.level, strongest.halt.reason, strongest.source, open_halts
        )

    def _is_stored(self, source: str, halt: HaltV1) -> bool:
        """Return whether an unlifted stored halt says the same."""
        lifted, _ = self._lifted_up_to()
        return any(sequence > lifted and stored == (source, halt) for sequence, stored in self._halts.items())

    def _lifted_up_to(self) -> tuple[int, int]:
        """Return the newest halt that a valid resume names, and that resume's sequence."""
        lifted, by = 0, 0
        for sequence, resume in sorted(self._resumes.items()):
            newest_then = max((halt for halt in self._halts if halt < sequence), default=0)
            if newest_then <= resume.halt_sequence < sequence and resume.halt_sequence > 0:
                lifted, by = max(lifted, resume.halt_sequence), sequence
        return lifted, by
