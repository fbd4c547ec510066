"""Fold the CONTROL stream into one word: halted, or not, and why.

Executor, riskguard and reconciler share this fold, so they cannot disagree about
what a halt or a resume means. Rules of the file:

* No record at all is halted: born halted, and an empty stream is a lost stream.
* Any halt latches, whatever its payload; the newest over all sources counts.
* A resume counts only if it names the newest halt before it, exactly. One that names
  another one, one that is not known here, or one that comes later, lifts nothing; a
  nonce works once. Whoever hands a resume in has verified it (`signing.py`).
* Records may arrive twice or out of order (a live subscription beside a replay):
  the fold depends on sequences only, never on arrival.
* A halt heard on the core subject that the stream has not stored yet has no
  sequence. It latches by itself until its own stored copy arrives (`on_halt`) or the
  executor has stored it in its own name (`stored_for`), so that a resume can name
  it and losing the stream cannot lose the halt. Halts in the same words are counted:
  the stored copy of one is not the copy of the next. Neither is an older halt that is
  read again, one in other words, or one that was lifted before the stream was read whole.
* The same halt may be heard by several ways (`hearing.py`); each way counts for itself.
* Unreadable is halted (`unreadable`), until a whole read succeeds (`readable`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.control.hearing import Hearings
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
        resumed_ms: When the newest resume that lifted a halt of the account began to count, Unix;
            0 if there was none. A ramp begins there.
        stamps: When the stream stored each halt, in its own words; None was acknowledged and not seen yet.
    """

    is_halted: bool
    halt_sequence: int
    resume_sequence: int
    level: GateState
    reason: str
    source: str
    halts: tuple[Halted, ...] = ()
    resumed_ms: int = 0
    stamps: Mapping[int, str | None] = field(default_factory=dict, compare=False)

    def is_of_another_stream(self, sequence: int, stamp: str) -> bool:
        """Return whether a halt that somebody remembers is none of this stream's.

        Args:
            sequence: Its place in the stream that it was read from; 0 or less names none.
            stamp: When that stream stored it; empty is not known.
        """
        if sequence > self.halt_sequence:
            return True
        if sequence <= 0 or not stamp:
            return False
        return self.stamps.get(sequence, "") not in (stamp, None)


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


@dataclass(frozen=True, slots=True)
class _Lifted:
    """Up to which halt all are lifted, by which resume, and when the account was last set free."""

    halt_sequence: int = 0
    resume_sequence: int = 0
    resumed_ms: int = 0


@dataclass(slots=True)
class LatchFold:
    """The fold; see the module's rules."""

    _halts: dict[int, tuple[str, HaltV1]] = field(default_factory=dict)
    _resumes: dict[int, tuple[ResumeV1, int]] = field(default_factory=dict)
    _stamps: dict[int, str | None] = field(default_factory=dict)
    _hearings: Hearings = field(default_factory=Hearings)
    _copies_unread: list[int] = field(default_factory=list)
    """Halts that were stored while the stream was not read whole: some may be copies of heard ones."""
    _unreadable: str = "control stream not read yet"
    _lifted_known: _Lifted | None = None

    def on_halt(self, sequence: int, source: str, halt: HaltV1, stamp: str | None = "") -> None:
        """Take one stored halt; ``stamp`` is the stream's time of storing, None where only we know of it."""
        assert sequence > 0, sequence
        if stamp is not None or sequence not in self._stamps:
            self._stamps[sequence] = stamp
        is_new = sequence not in self._halts
        self._halts[sequence] = (source, halt)
        self._lifted_known = None
        if is_new and self._unreadable:
            self._copies_unread.append(sequence)
        elif is_new:
            self._hearings.copied(source, halt)

    def on_heard(self, source: str, halt: HaltV1, way: str = "bus") -> None:
        """Take a halt from the core subject; its stored copy comes before, later, or never.

        Args:
            source: Who halted.
            halt: What it says.
            way: The connection that it came by; one halt comes once by each.
        """
        self._hearings.heard(source, halt, way, is_stored=self._is_stored(source, halt))

    def heard_count(self, source: str, halt: HaltV1) -> int:
        """Return how many halts in these words were heard and have no stored copy."""
        return self._hearings.count(source, halt)

    def stored_for(self, source: str, halt: HaltV1 | None = None, count: int | None = None) -> None:
        """Say that the halt (or all) heard from this source now has a stored copy under another source.

        ``count`` says of how many in the same words; None is all that were heard by now.
        """
        for name, heard in self._hearings.open:
            if name == source and halt in (None, heard):
                self._hearings.settled(name, heard, count)

    def on_resume(self, sequence: int, resume: ResumeV1, counts_ms: int = 0) -> None:
        """Take one stored resume that was verified; sequences judge what it lifts, see :meth:`state`.

        Args:
            sequence: Its place in the stream.
            resume: What it says.
            counts_ms: When it began to count, Unix: its storing, and where one person signs a delay more.
        """
        assert sequence > 0, sequence
        self._resumes[sequence] = (resume, counts_ms)
        self._lifted_known = None

    def has_resume(self, sequence: int) -> bool:
        """Return whether the resume is folded in already."""
        return sequence in self._resumes

    def unreadable(self, why: str) -> None:
        """Latch because the stream, or something in it, could not be read."""
        assert why, "a reason"
        self._unreadable = why

    def readable(self) -> None:
        """Say that the whole stream has been read up to now."""
        if self._unreadable:
            # Only now is it known which of the stored halts were lifted.
            lifted = self._lifted().halt_sequence
            for sequence in self._copies_unread:
                if sequence > lifted and self._hearings.count(*self._halts[sequence]):
                    self._hearings.copied(*self._halts[sequence])
            self._copies_unread.clear()
        self._unreadable = ""

    @property
    def heard(self) -> tuple[tuple[str, HaltV1], ...]:
        """Return the halts heard on the core subject whose stored copy has not arrived, by source."""
        return self._hearings.open

    def state(self) -> LatchState:
        """Return what all records together say."""
        lifted = self._lifted()
        newest = max(self._halts, default=0)
        open_halts = tuple(
            Halted(sequence, source, halt)
            for sequence, (source, halt) in sorted(self._halts.items(), reverse=True)
            if sequence > lifted.halt_sequence
        )
        heard = tuple(Halted(0, source, halt) for source, halt in self.heard)
        open_halts = heard + open_halts
        by, since_ms = lifted.resume_sequence, lifted.resumed_ms
        if self._unreadable:
            return LatchState(
                True,
                newest,
                0,
                GateState.HALTED,
                self._unreadable,
                "unreadable",
                open_halts,
                since_ms,
                self._stamps,
            )
        if newest == 0 and not heard:
            return LatchState(True, 0, 0, GateState.HALTED, "no control record", "none")
        account = [halted for halted in open_halts if halted.halt.scope is ScopeKind.ACCOUNT]
        if not account:
            # Only scopes are halted, if anything: the account runs, `LatchState.halts` says where it may not.
            return LatchState(
                False, newest, by, GateState.RUNNING, "", "", open_halts, since_ms, self._stamps
            )
        strongest = max(account, key=lambda halted: STRENGTH[halted.halt.level])
        return LatchState(
            True,
            newest,
            0,
            strongest.halt.level,
            strongest.halt.reason,
            strongest.source,
            open_halts,
            since_ms,
            self._stamps,
        )

    def lifter(self) -> ResumeV1 | None:
        """Return the newest resume that lifted something, or None."""
        found = self._resumes.get(self._lifted().resume_sequence)
        return found[0] if found is not None else None

    def _is_stored(self, source: str, halt: HaltV1) -> bool:
        """Return whether an unlifted stored halt says the same."""
        lifted = self._lifted().halt_sequence
        return any(sequence > lifted and stored == (source, halt) for sequence, stored in self._halts.items())

    def _lifted(self) -> _Lifted:
        if self._lifted_known is None:
            self._lifted_known = self._lift()
        return self._lifted_known

    def _lift(self) -> _Lifted:
        halts = sorted(self._halts)
        nonces: set[str] = set()
        found = _Lifted()
        for sequence, (resume, counts_ms) in sorted(self._resumes.items()):
            if resume.nonce in nonces:
                continue  # a replay, whatever it names
            nonces.add(resume.nonce)
            before = bisect_left(halts, sequence)
            if not before or resume.halt_sequence != halts[before - 1]:
                continue
            freed = halts[bisect_left(halts, found.halt_sequence + 1) : before]
            frees_account = any(self._halts[one][1].scope is ScopeKind.ACCOUNT for one in freed)
            since_ms = counts_ms if frees_account else found.resumed_ms
            found = _Lifted(resume.halt_sequence, sequence, since_ms)
        return found
