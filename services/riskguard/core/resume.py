"""Resume in two steps: first the consequences and an offer to sign, then the deed.

Rules of the file:

* No single message resumes. The first step changes nothing; it names the newest
  halt over all sources, says what will happen, and makes the offer: the record
  that would be stored, with a nonce and an expiry, which is what people sign.
* The second step must carry the nonce, within its life, by the same person, with
  the signatures that the mode demands, and the newest halt must still be the one
  of the first step. What is stored is the offer; nothing in it can change.
* A nonce works once. A new first step makes every older nonce void, and so does
  a second step that fails, except for want of signatures: people may be slow.
* While a latching trigger is red the first step is refused, unless it carries a
  time until which those triggers are overruled, at most an hour ahead. Which ones
  and until when is in the signed bytes.
* A halt that the stream has not stored cannot be named, so it cannot be lifted.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from libs.common.control.latch import LatchState
from libs.common.control.limits import LimitNow
from libs.common.control.ramp import FULL_E4, Ramp
from libs.common.control.signing import Verifier, signed_bytes
from libs.common.messages.control import ResumeV1
from services.riskguard.core.triggers.base import Fired

OVERRIDE_MS_MAX = 3_600_000
_TEXT_MAX = 500
_HALTS_MAX = 100
"""Told of one resume: an answer holds no more of the longest. Who has more is told how many there are."""
_MS = 1_000_000


class ResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What either step sends; the second carries the nonce, and signatures where they are needed."""

    reason: str
    by: str
    nonce: str = ""
    override_until_ms: int | None = None
    signatures: tuple[str, ...] = ()


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


class HaltLine(msgspec.Struct, frozen=True, kw_only=True):
    """One halt that the resume would lift."""

    sequence: int
    """Of the stream; 0 was only heard so far."""
    source: str
    level: str
    scope: str
    scope_key: str
    reason: str
    trigger: str
    by: str


class LimitLine(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that is not what the configuration says."""

    name: str
    value: int
    cap: int
    by: str
    reason: str
    until_ms: int | None


class RampLine(msgspec.Struct, frozen=True, kw_only=True):
    """How sizes begin."""

    start_e4: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Limited:
    """The limits as a resume meets them: those that were changed, and the hash of all changes."""

    changed: tuple[LimitNow, ...] = ()
    hash: str = ""


class ResumeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What either step answers."""

    is_accepted: bool
    step: int
    refusals: tuple[str, ...] = ()
    halt_sequence: int = 0
    halts: tuple[HaltLine, ...] = ()
    """All that this resume lifts, newest first, scoped ones included."""
    halts_untold: int = 0
    nonce: str = ""
    expires_in_ms: int = 0
    consequences: Consequences | None = None
    limits_changed: tuple[LimitLine, ...] = ()
    ramp: RampLine | None = None
    signatures_required: int = 0
    signers: tuple[str, ...] = ()
    delay_s: int = 0
    offer: ResumeV1 | None = None
    to_sign: str = ""
    """Base64 of the very bytes that `dora sign` signs."""
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
    offer: ResumeV1
    until_ns: int


_DECODER = msgspec.json.Decoder(ResumeRequest)


@dataclass(slots=True)
class ResumeDesk:
    """The state machine.

    Attributes:
        life_ns: How long an offer lives, nonce and expiry alike.
        verifier: Judges a signed offer as every reader of the stream will.
        config_hash: Goes into the record.
        ramp: How sizes begin after a resume; told, not applied, here.
    """

    life_ns: int
    verifier: Verifier
    config_hash: str = ""
    ramp: Ramp = field(default_factory=Ramp)
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
        limited: Limited | None = None,
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
            limited: The limits that were changed; None is none.
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
        return self._first(
            request, state, fired, consequences, now_ns, now_ms, fresh_nonce, limited or Limited()
        )

    def _first(  # noqa: PLR0917 - see on_request
        self,
        request: ResumeRequest,
        state: LatchState,
        fired: tuple[Fired, ...],
        consequences: Consequences,
        now_ns: int,
        now_ms: int,
        fresh_nonce: str,
        limited: Limited,
    ) -> ResumeAnswer:
        self._pending = None
        until_ms = request.override_until_ms
        if until_ms is not None and not now_ms < until_ms <= now_ms + OVERRIDE_MS_MAX:
            return self._refuse(1, state, f"override_until_ms within {OVERRIDE_MS_MAX} ms from now")
        refusals = self._standing_refusals(state)
        red = tuple(f for f in fired if f.is_latching)
        if until_ms is None:
            refusals += [f"still red: {f.text}" for f in red]
        if len(self.verifier.keys) < self.verifier.required:
            refusals.append(
                f"{self.verifier.required} people in control.signers, were {len(self.verifier.keys)}"
            )
        if refusals:
            return self._refuse(1, state, *refusals, consequences=consequences)
        overruled = tuple(sorted(f.trigger for f in red))
        offer = ResumeV1(
            halt_sequence=state.halt_sequence,
            nonce=fresh_nonce,
            reason=request.reason,
            by=request.by,
            expires_ms=now_ms + self.life_ns // _MS,
            env=self.verifier.env,
            account=self.verifier.account,
            config_hash=self.config_hash,
            limits_hash=limited.hash,
            overruled=overruled,
            override_until_ms=(until_ms or 0) if overruled else 0,
        )
        self._pending = _Pending(offer, now_ns + self.life_ns)
        required = self.verifier.required
        return ResumeAnswer(
            is_accepted=True,
            step=1,
            halt_sequence=state.halt_sequence,
            halts=_halts(state),
            halts_untold=max(0, len(state.halts) - _HALTS_MAX),
            nonce=fresh_nonce,
            expires_in_ms=self.life_ns // _MS,
            consequences=consequences,
            limits_changed=_limit_lines(limited),
            ramp=RampLine(start_e4=self.ramp.start_e4, minutes=self.ramp.minutes),
            signatures_required=required,
            signers=tuple(sorted(self.verifier.keys)) if required else (),
            delay_s=self.verifier.delay_ms // 1_000,
            offer=offer,
            to_sign=base64.b64encode(signed_bytes(offer)).decode(),
            will_happen=self._told(state, consequences, overruled),
        )

    def _told(self, state: LatchState, consequences: Consequences, overruled: tuple[str, ...]) -> str:
        lifted = "; ".join(
            f"{line.sequence} by {line.source}, {line.level} for {line.scope}"
            f"{f' {line.scope_key}' if line.scope_key else ''}"
            for line in _halts(state)
        )
        ramp = (
            f"sizes begin at {self.ramp.start_e4 * 100 / FULL_E4:g} % and are whole after "
            f"{self.ramp.minutes:g} minutes"
            if self.ramp.minutes and state.is_halted
            else "sizes are whole at once"
        )
        delay = f"; it counts {self.verifier.delay_ms // 1_000} s after it was stored"
        return (
            f"lifts every halt up to {state.halt_sequence}: {lifted}; trading starts again in every market "
            f"that strategy quotes; {len(consequences.markets)} markets are held or quoted now, worst loss "
            f"{consequences.worst_loss_e6} millionths of a dollar; {len(overruled)} red triggers are "
            f"overruled; {ramp}{delay if self.verifier.delay_ms else ''}"
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
        offer = pending.offer
        if not hmac.compare_digest(offer.nonce.encode(), request.nonce.encode("utf-8", "replace")):
            return self._refuse(2, state, "the nonce of the newest first step, was another")
        refusals = self._standing_refusals(state)
        if now_ns > pending.until_ns:
            refusals.append(f"a nonce of at most {self.life_ns // _MS} ms, was older")
        if request.by != offer.by:
            refusals.append(f"the same person in both steps, were {offer.by!r} and {request.by!r}")
        if request.reason != offer.reason:
            refusals.append("the reason of the first step, which is what was offered")
        if state.halt_sequence != offer.halt_sequence:
            refusals.append(
                f"the halt of the first step, {offer.halt_sequence}, was a newer one, {state.halt_sequence}"
            )
        refusals += [
            f"still red: {f.text}" for f in fired if f.is_latching and f.trigger not in offer.overruled
        ]
        if refusals:
            return self._refuse(2, state, *refusals)
        resume = msgspec.structs.replace(offer, signatures=request.signatures)
        if refusal := self.verifier.refusal(resume, now_ms):
            self._pending = pending
            return self._refuse(2, state, refusal)
        return Execute(resume, offer.halt_sequence, dict.fromkeys(offer.overruled, offer.override_until_ms))

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
            halts_untold=max(0, len(state.halts) - _HALTS_MAX),
            consequences=consequences,
        )


def _halts(state: LatchState) -> tuple[HaltLine, ...]:
    return tuple(
        HaltLine(
            sequence=halted.sequence,
            source=halted.source,
            level=halted.halt.level.value,
            scope=halted.halt.scope.value,
            scope_key=halted.halt.scope_key,
            reason=halted.halt.reason,
            trigger=halted.halt.trigger,
            by=halted.halt.by,
        )
        for halted in state.halts[:_HALTS_MAX]
    )


def _limit_lines(limited: Limited) -> tuple[LimitLine, ...]:
    return tuple(
        LimitLine(
            name=now.name,
            value=now.value,
            cap=now.cap,
            by=now.change.by,
            reason=now.change.reason,
            until_ms=now.change.until_ms,
        )
        for now in limited.changed
        if now.change is not None
    )
