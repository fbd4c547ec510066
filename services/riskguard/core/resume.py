"""Resume in two steps: first the consequences and a nonce, then the deed.

Rules of the file:

* No single message resumes. The first step changes nothing; it names the newest
  halt over all sources and says what will happen.
* The second step must carry the nonce, within its life, by the same person, and
  the newest halt must still be the one of the first step.
* A nonce works once. A new first step makes every older nonce void, and so does
  a second step that fails.
* While a latching trigger is red the first step is refused, unless it carries a
  time until which those triggers are overruled, at most an hour ahead.
* A halt that the stream has not stored cannot be named, so it cannot be lifted.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from libs.common.control.latch import LatchState
from libs.common.messages.control import ResumeV1
from services.riskguard.core.triggers.base import Fired

OVERRIDE_MS_MAX = 3_600_000
_TEXT_MAX = 500
_MS = 1_000_000


class ResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What either step sends; the second carries the nonce."""

    reason: str
    by: str
    nonce: str = ""
    override_until_ms: int | None = None


class MarketConsequence(msgspec.Struct, frozen=True, kw_only=True):
    """One market that trading would go on with."""

    market: str
    position_e2: int
    resting_e2: int
    worst_loss_e6: int


class Consequences(msgspec.Struct, frozen=True, kw_only=True):
    """What a resume would mean now."""

    markets: tuple[MarketConsequence, ...]
    worst_loss_e6: int
    day_result_e6: int
    red: tuple[str, ...]
    """Everything that fires, pauses included."""


class ResumeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What either step answers."""

    is_accepted: bool
    step: int
    refusals: tuple[str, ...] = ()
    halt_sequence: int = 0
    halts: tuple[str, ...] = ()
    nonce: str = ""
    expires_in_ms: int = 0
    consequences: Consequences | None = None
    will_happen: str = ""
    resume_sequence: int = 0


@dataclass(frozen=True, slots=True)
class Execute:
    """The second step passed: store this resume, fenced on this halt."""

    resume: ResumeV1
    halt_sequence: int
    overruled: Mapping[str, int] = field(default_factory=dict)
    """Trigger to the wall time in milliseconds until which it is overruled."""


@dataclass(frozen=True, slots=True)
class _Pending:
    nonce: str
    halt_sequence: int
    by: str
    until_ns: int
    overruled: Mapping[str, int]


_DECODER = msgspec.json.Decoder(ResumeRequest)


@dataclass(slots=True)
class ResumeDesk:
    """The state machine; ``life_ns`` is how long a nonce lives, ``config_hash`` goes into the record."""

    life_ns: int
    config_hash: str = ""
    _pending: _Pending | None = None

    def on_request(  # noqa: PLR0917 - everything a resume must look at
        self,
        data: bytes,
        state: LatchState,
        fired: tuple[Fired, ...],
        consequences: Consequences,
        now_ns: int,
        now_ms: int,
        fresh_nonce: str,
    ) -> ResumeAnswer | Execute:
        """Take either step and return the answer, or the resume that is to be stored.

        Args:
            data: The request as it came.
            state: The latches now.
            fired: Every trigger that is red now.
            consequences: What a resume would mean now.
            now_ns: Monotonic; the nonce's life is measured by it.
            now_ms: Wall clock, for the record's own expiry and the override.
            fresh_nonce: Unguessable, made by the shell.
        """
        try:
            request = _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            return self._refuse(1, state, f"a request with reason and by, was {e}")
        if not request.reason.strip() or not request.by.strip():
            return self._refuse(1, state, "a reason and a name (by), were empty")
        if max(len(request.reason), len(request.by), len(request.nonce)) > _TEXT_MAX:
            return self._refuse(1, state, f"texts of at most {_TEXT_MAX} characters")
        if request.nonce:
            return self._second(request, state, fired, now_ns, now_ms)
        return self._first(request, state, fired, consequences, now_ns, now_ms, fresh_nonce)

    def _first(  # noqa: PLR0917 - see on_request
        self,
        request: ResumeRequest,
        state: LatchState,
        fired: tuple[Fired, ...],
        consequences: Consequences,
        now_ns: int,
        now_ms: int,
        fresh_nonce: str,
    ) -> ResumeAnswer:
        self._pending = None
        until_ms = request.override_until_ms
        if until_ms is not None and not now_ms < until_ms <= now_ms + OVERRIDE_MS_MAX:
            return self._refuse(1, state, f"override_until_ms within {OVERRIDE_MS_MAX} ms from now")
        refusals = self._standing_refusals(state)
        red = tuple(f for f in fired if f.is_latching)
        if until_ms is None:
            refusals += [f"still red: {f.text}" for f in red]
        if refusals:
            return self._refuse(1, state, *refusals, consequences=consequences)
        overruled = {f.trigger: until_ms for f in red} if until_ms is not None else {}
        self._pending = _Pending(
            fresh_nonce, state.halt_sequence, request.by, now_ns + self.life_ns, overruled
        )
        count = len(consequences.markets)
        return ResumeAnswer(
            is_accepted=True,
            step=1,
            halt_sequence=state.halt_sequence,
            halts=_halts(state),
            nonce=fresh_nonce,
            expires_in_ms=self.life_ns // _MS,
            consequences=consequences,
            will_happen=(
                f"trading starts again in every market that strategy quotes; {count} markets are held or "
                f"quoted now, worst loss {consequences.worst_loss_e6} millionths of a dollar; "
                f"{len(overruled)} red triggers are overruled"
            ),
        )

    def _second(
        self,
        request: ResumeRequest,
        state: LatchState,
        fired: tuple[Fired, ...],
        now_ns: int,
        now_ms: int,
    ) -> ResumeAnswer | Execute:
        pending, self._pending = self._pending, None
        if pending is None:
            return self._refuse(2, state, "a nonce that was asked for and not used, was none")
        if not hmac.compare_digest(pending.nonce.encode(), request.nonce.encode("utf-8", "replace")):
            return self._refuse(2, state, "the nonce of the newest first step, was another")
        refusals = self._standing_refusals(state)
        if now_ns > pending.until_ns:
            refusals.append(f"a nonce of at most {self.life_ns // _MS} ms, was older")
        if request.by != pending.by:
            refusals.append(f"the same person in both steps, were {pending.by!r} and {request.by!r}")
        if state.halt_sequence != pending.halt_sequence:
            refusals.append(
                f"the halt of the first step, {pending.halt_sequence}, was a newer one, {state.halt_sequence}"
            )
        refusals += [
            f"still red: {f.text}" for f in fired if f.is_latching and f.trigger not in pending.overruled
        ]
        if refusals:
            return self._refuse(2, state, *refusals)
        resume = ResumeV1(
            halt_sequence=pending.halt_sequence,
            nonce=pending.nonce,
            reason=request.reason,
            by=request.by,
            expires_ms=now_ms + self.life_ns // _MS,
            config_hash=self.config_hash,
        )
        return Execute(resume, pending.halt_sequence, pending.overruled)

    def _standing_refusals(self, state: LatchState) -> list[str]:
        if not state.is_halted and not state.halts:
            return ["something to resume, is running"]
        if state.source in ("unreadable", "none"):
            return [f"a readable control stream with a halt to name, was: {state.reason}"]
        if any(halted.sequence == 0 for halted in state.halts):
            return ["every halt stored, one was only heard so far"]
        return []

    def _refuse(
        self, step: int, state: LatchState, *refusals: str, consequences: Consequences | None = None
    ) -> ResumeAnswer:
        return ResumeAnswer(
            is_accepted=False,
            step=step,
            refusals=refusals,
            halt_sequence=state.halt_sequence,
            halts=_halts(state),
            consequences=consequences,
        )


def _halts(state: LatchState) -> tuple[str, ...]:
    return tuple(f"{halted.source} {halted.sequence}: {halted.halt.reason}" for halted in state.halts[:20])
