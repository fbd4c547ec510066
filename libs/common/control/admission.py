"""The door to the folds: what was verified comes in, once, and delayed records when their time has come."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.control.latch import LatchFold
from libs.common.control.limits import RAISE_MS_MAX, LimitFold
from libs.common.control.signing import SKEW_MS, Verifier
from libs.common.messages.control import ResumeV1
from libs.common.messages.risk import LimitV1


@dataclass(slots=True)
class Admission:
    """Judges each record once; see `signing.py` for how."""

    verifier: Verifier
    _refused: set[int] = field(default_factory=set)
    _waiting: dict[int, tuple[ResumeV1, int]] = field(default_factory=dict)

    def resume(self, fold: LatchFold, sequence: int, resume: ResumeV1, stored_ms: int, now_ms: int) -> str:
        """Fold a stored resume in if it counts; return why it does not, the first time that it is seen.

        Args:
            fold: Where it goes.
            sequence: Its place in the stream.
            resume: What it says.
            stored_ms: When the stream stored it, Unix.
            now_ms: Wall clock; only a delay looks at it.
        """
        if sequence in self._refused or sequence in self._waiting or fold.has_resume(sequence):
            return ""
        refusal = self.verifier.refusal(resume, stored_ms)
        if refusal:
            self._refused.add(sequence)
        elif now_ms < self._counts_ms(stored_ms):
            self._waiting[sequence] = (resume, stored_ms)
        else:
            fold.on_resume(sequence, resume, self._counts_ms(stored_ms))
        return refusal

    def release(self, fold: LatchFold, now_ms: int) -> bool:
        """Fold in what has waited long enough; return whether anything had."""
        due = [
            sequence
            for sequence, (_, stored_ms) in self._waiting.items()
            if now_ms >= self._counts_ms(stored_ms)
        ]
        for sequence in due:
            resume, stored_ms = self._waiting.pop(sequence)
            fold.on_resume(sequence, resume, self._counts_ms(stored_ms))
        return bool(due)

    @property
    def waiting(self) -> tuple[tuple[int, ResumeV1, int], ...]:
        """Return what waits: sequence, resume, and when it begins to count, Unix milliseconds."""
        waiting = self._waiting.items()
        return tuple((at, resume, self._counts_ms(stored_ms)) for at, (resume, stored_ms) in waiting)

    def limit(self, fold: LimitFold, sequence: int, limit: LimitV1, stored_ms: int) -> tuple[bool, str]:
        """Fold a stored change of a limit in if it counts; return whether it is new, or why it does not.

        Only a raise is judged: whoever tightens is obeyed.
        """
        if sequence in self._refused:
            return False, ""
        from_ms = 0
        if limit.nonce:
            refusal = self.verifier.refusal(limit, stored_ms) or _endless(limit, stored_ms)
            if refusal:
                self._refused.add(sequence)
                if limit.scope == fold.account:
                    fold.skip(sequence)
                return False, refusal
            from_ms = stored_ms + self.verifier.delay_ms if self.verifier.delay_ms else 0
        return fold.take(sequence, limit, from_ms), ""

    def forget(self) -> None:
        """Forget every sequence: the stream is another one."""
        self._refused.clear()
        self._waiting.clear()

    def _counts_ms(self, stored_ms: int) -> int:
        """Return when a resume begins to count, and the ramp after it: not while it still waits."""
        return stored_ms + self.verifier.delay_ms


def _endless(limit: LimitV1, stored_ms: int) -> str:
    if limit.until_ms is None:
        return "a raise with an end, was without"
    ahead_ms = limit.until_ms - stored_ms
    return (
        f"an end at most {RAISE_MS_MAX} ms ahead, was {ahead_ms} ms"
        if ahead_ms > RAISE_MS_MAX + SKEW_MS
        else ""
    )
