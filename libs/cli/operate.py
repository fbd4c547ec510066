"""What an operator does to a running Dora: ask, halt, resume.

A halt is one message on ``ctl.halt.operator``, sent first and explained later; it
needs no service to be up, not even riskguard. A resume is riskguard's, in two
steps, and names the newest halt.
"""

from __future__ import annotations

import contextlib
import enum
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.cli.places import SERVICES
from libs.cli.runfile import RunFile
from libs.common.bus.api import Bus, BusError
from libs.common.bus.nats import NatsBus
from libs.common.env import Env
from libs.common.messages.base import MalformedMessage, WireDecoder, encode
from libs.common.messages.control import GateState, HaltV1, ScopeKind
from libs.common.messages.health import StatusV1
from libs.common.subjects import Subjects

_STATUS: Final = WireDecoder(StatusV1)


class OperationRefused(Exception):  # noqa: N818 - named for what happened
    """A service said no; the text is its own."""


@contextlib.asynccontextmanager
async def operator_bus(run: RunFile) -> AsyncIterator[NatsBus]:
    """Yield a connection with the operator's identity."""
    password = Path(run.nats_password_file).read_text(encoding="utf-8").strip()
    bus = await NatsBus.connect(
        run.nats_url, name="operator", env=Env(run.env), user=run.nats_user, password=password
    )
    try:
        yield bus
    finally:
        await bus.drain()


async def statuses(bus: Bus, subjects: Subjects) -> dict[str, StatusV1 | str]:
    """Return the status of each service, or why there is none."""
    found: dict[str, StatusV1 | str] = {}
    for service in SERVICES:
        try:
            answer = await bus.request(subjects.of("svc", service, "status"), b"", timeout_s=1.0)
            found[service] = _STATUS.decode(answer.data)
        except (BusError, MalformedMessage) as e:
            found[service] = str(e) or type(e).__name__
    return found


class HaltLevel(enum.StrEnum):
    """How strongly a halt stops."""

    HALTED = "halted"
    CANCEL_ONLY = "cancel_only"
    REDUCE_ONLY = "reduce_only"


def is_halt_verified(said: StatusV1) -> bool:
    """Return whether the newest halt left nothing resting, by the executor's own listing.

    One that was never open has no ladder: what it found at its start it has withdrawn before.
    """
    if said.gauges.get("halt_verified") == 1:
        return said.state != "running" or said.gauges.get("halts_scoped", 0) > 0
    has_ladder = "halt_gate_us" in said.gauges
    return not has_ladder and said.is_ready and said.state == "halted" and not said.gauges["resting_orders"]


def reach_of(text: str) -> tuple[ScopeKind, str]:
    """Return what ``account``, ``shard:2`` or ``market:KX-1`` names.

    Raises:
        ValueError: With the kinds there are.
    """
    kind, _, key = text.partition(":")
    if kind not in set(ScopeKind) or bool(key) is (kind == ScopeKind.ACCOUNT):
        known = ", ".join(one.value if one is ScopeKind.ACCOUNT else f"{one.value}:…" for one in ScopeKind)
        raise ValueError(f"one of {known}, was {text!r}")
    return ScopeKind(kind), key


async def halt(
    bus: Bus,
    subjects: Subjects,
    reason: str,
    by: str,
    *,
    reach: tuple[ScopeKind, str] = (ScopeKind.ACCOUNT, ""),
    level: GateState = GateState.HALTED,
) -> int:
    """Halt what is named and return the stream sequence of the halt.

    Raises:
        BusError: It was sent to everyone who listens, but the stream did not confirm it.
    """
    subject = subjects.of("ctl.halt", "operator")
    # A terminal hands on bytes that are no text as half letters, which no message can carry: it halts anyway.
    reason, by, key = (text.encode("utf-8", "replace").decode() for text in (reason, by, reach[1]))
    data = encode(HaltV1(reason=reason, by=by, scope=reach[0], scope_key=key, level=level))
    try:
        return (await bus.append(subject, data, msg_id=f"halt-{uuid.uuid4().hex}")).sequence
    except BusError:
        # The append may have reached nobody: say it again to everyone who listens, with no stream between.
        await bus.publish(subject, data)
        raise


@dataclass(frozen=True, slots=True)
class Offer:
    """Riskguard's answer to the first step of a resume: what will happen, and the nonce of the second."""

    nonce: str
    answer: dict[str, Any]


async def offer_resume(
    bus: Bus, subjects: Subjects, reason: str, by: str, *, override_until_ms: int | None = None
) -> Offer:
    """Ask what a resume would do.

    Raises:
        OperationRefused: Riskguard said no.
        BusError: Riskguard did not answer.
    """
    ask: dict[str, Any] = {"reason": reason, "by": by}
    if override_until_ms is not None:
        ask["override_until_ms"] = override_until_ms
    answer = await _ask(bus, subjects, "resume", ask)
    return Offer(answer["nonce"], answer)


async def confirm_resume(  # noqa: PLR0917 - the bus, and what was offered
    bus: Bus, subjects: Subjects, offer: Offer, reason: str, by: str, signatures: Sequence[str] = ()
) -> dict[str, Any]:
    """Execute the resume that was offered and return riskguard's answer.

    Raises:
        OperationRefused: Riskguard said no, for example because a newer halt came between.
        BusError: Riskguard did not answer.
    """
    ask = {"nonce": offer.nonce, "reason": reason, "by": by, "signatures": signatures}
    return await _ask(bus, subjects, "resume", ask)


async def change_limit(bus: Bus, subjects: Subjects, ask: dict[str, Any]) -> dict[str, Any]:
    """Take either step of a change of a limit and return riskguard's answer.

    Raises:
        OperationRefused: Riskguard said no.
        BusError: Riskguard did not answer.
    """
    return await _ask(bus, subjects, "limit", ask)


async def show_limits(bus: Bus, subjects: Subjects) -> dict[str, Any]:
    """Return every limit: what it is, its configured value, who changed it, why, until when.

    Raises:
        OperationRefused: The answer cannot be read.
        BusError: Riskguard did not answer.
    """
    return await _request(bus, subjects, "limits", {})


async def _ask(bus: Bus, subjects: Subjects, endpoint: str, ask: dict[str, Any]) -> dict[str, Any]:
    answer = await _request(bus, subjects, endpoint, ask)
    if answer.get("is_accepted") is not True:
        refusals = answer.get("refusals") or [told(answer)]
        raise OperationRefused("\n".join(f"  expected {refusal}" for refusal in refusals))
    return answer


async def _request(bus: Bus, subjects: Subjects, endpoint: str, ask: dict[str, Any]) -> dict[str, Any]:
    message = await bus.request(
        subjects.of("svc", "riskguard", endpoint), msgspec.json.encode(ask), timeout_s=8.0
    )
    if error := message.headers.get("Nats-Service-Error"):
        raise OperationRefused(error)
    try:
        return msgspec.json.decode(message.data, type=dict[str, Any])
    except msgspec.DecodeError:
        raise OperationRefused(f"an answer that cannot be read: {message.data[:200]!r}") from None


def told(answer: dict[str, Any]) -> str:
    """Return an answer as lines for people, without nonce, offer, and what says nothing."""
    lines = []
    for name, value in answer.items():
        if name in ("nonce", "offer", "to_sign") or value in (None, "", [], 0):
            continue
        shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        lines.append(f"  {name.replace('_', ' ')}: {shown}")
    return "\n".join(lines)
