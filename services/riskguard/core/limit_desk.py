"""Change a limit while Dora runs: down like a halt, up like a resume.

Rules of the file:

* A change that tightens is one message and is done: no nonce, no signature, no fence.
* A change that loosens is two steps with a nonce, signed as a resume is, never beyond the
  configuration, and has an end, at most a month ahead: nobody remembers longer why it was right.
* Between the two steps no limit may have changed: the record names the newest change
  before it, and is stored on the condition that it still is.
* Every change says who, why, and until when.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

import msgspec

from libs.common.control.limits import RAISE_MS_MAX, LimitFold, LimitNow
from libs.common.control.signing import Verifier, signed_bytes
from libs.common.messages.risk import LimitV1

_TEXT_MAX = 500
_MS = 1_000_000


class LimitRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What either step sends; the second step of a raise carries the nonce, and signatures where needed."""

    name: str
    value: int
    reason: str
    by: str
    until_ms: int | None = None
    nonce: str = ""
    signatures: tuple[str, ...] = ()


class LimitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What either step answers."""

    is_accepted: bool
    step: int
    refusals: tuple[str, ...] = ()
    name: str = ""
    value: int | None = None
    """What it is now, None where its owner did not say."""
    cap: int | None = None
    change: LimitV1 | None = None
    """The change that holds it there."""
    nonce: str = ""
    expires_in_ms: int = 0
    signatures_required: int = 0
    signers: tuple[str, ...] = ()
    delay_s: int = 0
    offer: LimitV1 | None = None
    to_sign: str = ""
    will_happen: str = ""
    limit_sequence: int = 0


@dataclass(frozen=True, slots=True)
class SetLimit:
    """Store this change; ``after`` is the newest change that a raise is fenced on, None for no fence."""

    limit: LimitV1
    after: int | None = None


@dataclass(frozen=True, slots=True)
class _Pending:
    offer: LimitV1
    until_ns: int


_DECODER = msgspec.json.Decoder(LimitRequest)


def read_request(data: bytes) -> LimitRequest | str:
    """Return a request, or what is wrong with it."""
    try:
        request = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        return f"a request with name, value, reason and by, was {e}"
    if not request.reason.strip() or not request.by.strip():
        return "a reason and a name (by), were empty"
    if max(len(request.name), len(request.reason), len(request.by), len(request.nonce)) > _TEXT_MAX:
        return f"texts of at most {_TEXT_MAX} characters"
    if request.value < 0:
        return f"a value of 0 or more, was {request.value}"
    return request


@dataclass(slots=True)
class LimitDesk:
    """The state machine.

    Attributes:
        life_ns: How long the offer of a raise lives.
        verifier: Judges a signed raise as every reader of the stream will.
        config_hash: Goes into the record.
    """

    life_ns: int
    verifier: Verifier
    config_hash: str = ""
    _pending: _Pending | None = None

    def on_request(  # noqa: PLR0917 - everything a change must look at
        self,
        request: LimitRequest,
        now: LimitNow | None,
        fold: LimitFold,
        now_ns: int,
        now_ms: int,
        fresh_nonce: str,
    ) -> LimitAnswer | SetLimit:
        """Take either step and return the answer, or the change that is to be stored.

        Args:
            request: What was asked.
            now: The limit as it is, None where its owner did not say: then only tightening is possible.
            fold: Every change so far.
            now_ns: Monotonic.
            now_ms: Wall clock.
            fresh_nonce: Unguessable, made by the shell.
        """
        if request.nonce:
            return self._second(request, now, fold, now_ns, now_ms)
        self._pending = None
        if request.until_ms is not None and request.until_ms <= now_ms:
            return refuse(1, request, now, "an end that is still to come (until_ms)")
        if now is None or request.value < now.value:
            return SetLimit(
                LimitV1(
                    scope=fold.account,
                    name=request.name,
                    value=request.value,
                    by=request.by,
                    reason=request.reason,
                    until_ms=request.until_ms,
                    env=self.verifier.env,
                    config_hash=self.config_hash,
                )
            )
        return self._offer(request, now, fold, now_ns, now_ms, fresh_nonce)

    def _offer(  # noqa: PLR0917 - see on_request
        self,
        request: LimitRequest,
        now: LimitNow,
        fold: LimitFold,
        now_ns: int,
        now_ms: int,
        fresh_nonce: str,
    ) -> LimitAnswer:
        refusals = []
        if request.value == now.value:
            refusals.append(f"another value than {now.value}, which it is")
        if request.value > now.cap:
            refusals.append(f"at most what the configuration says, {now.cap}, was {request.value}")
        if request.until_ms is None or request.until_ms > now_ms + RAISE_MS_MAX:
            refusals.append(f"an end (until_ms) at most {RAISE_MS_MAX} ms ahead")
        if len(self.verifier.keys) < self.verifier.required:
            refusals.append(
                f"{self.verifier.required} people in control.signers, were {len(self.verifier.keys)}"
            )
        if refusals:
            return refuse(1, request, now, *refusals)
        offer = LimitV1(
            scope=fold.account,
            name=request.name,
            value=request.value,
            by=request.by,
            reason=request.reason,
            until_ms=request.until_ms,
            nonce=fresh_nonce,
            env=self.verifier.env,
            after=fold.newest,
            expires_ms=now_ms + self.life_ns // _MS,
            config_hash=self.config_hash,
        )
        self._pending = _Pending(offer, now_ns + self.life_ns)
        required = self.verifier.required
        return LimitAnswer(
            is_accepted=True,
            step=1,
            name=now.name,
            value=now.value,
            cap=now.cap,
            change=now.change,
            nonce=fresh_nonce,
            expires_in_ms=self.life_ns // _MS,
            signatures_required=required,
            signers=tuple(sorted(self.verifier.keys)) if required else (),
            delay_s=self.verifier.delay_ms // 1_000,
            offer=offer,
            to_sign=base64.b64encode(signed_bytes(offer)).decode(),
            will_happen=(
                f"{now.name} goes from {now.value} to {request.value} (configured: {now.cap}) and falls back "
                f"by itself at {request.until_ms} ms"
            ),
        )

    def _second(
        self, request: LimitRequest, now: LimitNow | None, fold: LimitFold, now_ns: int, now_ms: int
    ) -> LimitAnswer | SetLimit:
        pending, self._pending = self._pending, None
        if pending is None:
            return refuse(2, request, now, "a nonce that was asked for and not used, was none")
        offer = pending.offer
        if not hmac.compare_digest(offer.nonce.encode(), request.nonce.encode("utf-8", "replace")):
            return refuse(2, request, now, "the nonce of the newest first step, was another")
        refusals = []
        if now_ns > pending.until_ns:
            refusals.append(f"a nonce of at most {self.life_ns // _MS} ms, was older")
        asked = (request.name, request.value, request.until_ms, request.by, request.reason)
        if asked != (offer.name, offer.value, offer.until_ms, offer.by, offer.reason):
            refusals.append("the same name, value, end, person and reason in both steps")
        if fold.newest != offer.after:
            refusals.append(
                f"the changes of the first step, up to {offer.after}, was a newer one, {fold.newest}"
            )
        if refusals:
            return refuse(2, request, now, *refusals)
        raised = msgspec.structs.replace(offer, signatures=request.signatures)
        if refusal := self.verifier.refusal(raised, now_ms):
            self._pending = pending
            return refuse(2, request, now, refusal)
        return SetLimit(raised, offer.after)


def refuse(step: int, request: LimitRequest, now: LimitNow | None, *refusals: str) -> LimitAnswer:
    """Return an answer that says no."""
    return LimitAnswer(
        is_accepted=False,
        step=step,
        refusals=refusals,
        name=request.name,
        value=None if now is None else now.value,
        cap=None if now is None else now.cap,
        change=None if now is None else now.change,
    )
