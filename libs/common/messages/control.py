"""Halting, resuming, permits: the control plane's words.

Any payload on a halt subject halts, so `HaltV1` is what a polite sender writes,
not what a receiver may demand (`parse_halt`).
"""

from __future__ import annotations

import enum

import msgspec

from libs.common.messages.base import Wire

_SHARD_DIGITS_MAX = 9
_REASON_MAX, _NAME_MAX = 500, 100
_KEY_MAX = 200


class GateState(enum.StrEnum):
    """What the executor may do."""

    STARTING = "starting"
    RUNNING = "running"
    REDUCE_ONLY = "reduce_only"
    CANCEL_ONLY = "cancel_only"
    HALTED = "halted"


class ScopeKind(enum.StrEnum):
    """How far a halt reaches."""

    ACCOUNT = "account"
    SHARD = "shard"
    SERIES = "series"
    EVENT = "event"
    MARKET = "market"
    STRATEGY = "strategy"


class HaltV1(Wire, frozen=True, kw_only=True):
    """``ctl.halt.<source>``; long texts are cut, so that whoever heard it can store it and tell it."""

    reason: str
    level: GateState = GateState.HALTED
    scope: ScopeKind = ScopeKind.ACCOUNT
    scope_key: str = ""
    """Empty for the whole account."""
    trigger: str = "manual"
    by: str = ""

    def __post_init__(self) -> None:
        """Cut the texts; made or read, the same halt is in the same words."""
        for name, most in (("reason", _REASON_MAX), ("trigger", _NAME_MAX), ("by", _NAME_MAX)):
            text = getattr(self, name)
            if len(text) > most:
                msgspec.structs.force_setattr(self, name, text[:most])


class ResumeV1(Wire, frozen=True, kw_only=True):
    """``ctl.resume.<source>``: lifts the halts up to and including ``halt_sequence`` and nothing newer.

    ``halt_sequence`` must be the newest halt over all sources. ``nonce`` comes
    from the first step (`svc.riskguard.resume`), which said what will happen, and
    works once. What is signed is in `libs/common/control/signing.py`.
    """

    halt_sequence: int
    nonce: str
    reason: str
    by: str
    expires_ms: int
    """Unix; the stream must have stored it by then."""
    env: str = ""
    account: str = ""
    config_hash: str = ""
    """Of the riskguard that made the offer."""
    limits_hash: str = ""
    """Of the limit changes that it held then."""
    overruled: tuple[str, ...] = ()
    """Triggers that are red and shall not halt again until ``override_until_ms``."""
    override_until_ms: int = 0
    signatures: tuple[str, ...] = ()
    """``name:base64`` each."""


class PermitV1(Wire, frozen=True, kw_only=True):
    """``permit.risk`` and ``permit.recon``: leave to trade for the next two seconds.

    The receiver measures age by its own monotonic clock from arrival, and drops
    a counter that does not grow within one boot, so a replayed permit is void.
    """

    issuer: str
    boot: str
    counter: int
    account: str
    is_open: bool
    reasons: tuple[str, ...] = ()
    """Why it is closed; empty when open."""
    epoch: int = 0
    """Executor epoch the issuer has seen."""
    halt_sequence: int = 0
    """Newest halt latch the issuer has seen."""
    scale_e4: int = 10_000
    """Size factor, ten-thousandths; below 10_000 in a ramp after resume."""
    exits_open: bool = False
    """Where closed: whether only a halt at level ``reduce_only`` closes it, so that exits may leave."""
    sent_ms: int = 0
    """The issuer's wall clock when it said so; a broker that was frozen delivers old ones as if fresh."""
    limits_hash: str = ""
    """Which changes of limits the issuer holds (`LimitFold.hash`)."""


def parse_halt(data: bytes) -> HaltV1:
    """Return what a halt message says; whatever it is, the result halts.

    Plain text becomes the reason; an empty or malformed payload halts the
    account. A narrower scope or level is honoured only when the message is
    well-formed in every field.
    """
    if not data.strip():
        return HaltV1(reason="no reason given")
    try:
        halt = msgspec.json.decode(data, type=HaltV1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = data[:200].decode("utf-8", "replace")
        return HaltV1(reason=text)
    key = halt.scope_key.strip()
    if halt.scope is ScopeKind.SHARD:
        # Gate, groups and listings name shards as numbers: "02" must not halt half of them.
        key = str(int(key)) if key.isdecimal() and len(key) <= _SHARD_DIGITS_MAX else ""
    is_named = bool(key) and len(key) <= _KEY_MAX
    if halt.level in (GateState.STARTING, GateState.RUNNING) or (
        halt.scope is not ScopeKind.ACCOUNT and not is_named
    ):
        return HaltV1(reason=halt.reason, trigger=halt.trigger, by=halt.by)
    return halt if key == halt.scope_key else msgspec.structs.replace(halt, scope_key=key)
