"""Resumes and raised limits as riskguard stores them, for tests that are riskguard."""

from __future__ import annotations

import base64
import itertools
import time
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.control.admission import Admission
from libs.common.control.settings import Control
from libs.common.control.signing import Signed, Verifier, sign
from libs.common.env import Env
from libs.common.messages.control import ResumeV1
from libs.common.messages.risk import LimitV1

UNSIGNED: Final = Verifier("sim", "main")
_NONCES = itertools.count(1)


def admission(verifier: Verifier = UNSIGNED) -> Admission:
    return Admission(verifier)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def a_resume(halt_sequence: int, **changes: Any) -> ResumeV1:
    """Return a resume of simulation's account that is about to be stored, with a nonce of its own."""
    fields: dict[str, Any] = {
        "halt_sequence": halt_sequence,
        "nonce": f"nonce-{next(_NONCES)}",
        "reason": "reviewed",
        "by": "ann",
        "expires_ms": changes.pop("at_ms", now_ms()) + 60_000,
        "env": "sim",
        "account": "main",
    }
    return ResumeV1(**(fields | changes))


def a_limit(name: str, value: int, **changes: Any) -> LimitV1:
    """Return a change that tightens."""
    fields: dict[str, Any] = {
        "scope": "main",
        "name": name,
        "value": value,
        "by": "ann",
        "reason": "reviewed",
        "env": "sim",
    }
    return LimitV1(**(fields | changes))


def a_raise(name: str, value: int, after: int, **changes: Any) -> LimitV1:
    """Return a change that loosens, for an hour, behind the change ``after``."""
    at_ms = changes.pop("at_ms", now_ms())
    fields: dict[str, Any] = {
        "nonce": f"nonce-{next(_NONCES)}",
        "after": after,
        "until_ms": at_ms + 3_600_000,
        "expires_ms": at_ms + 60_000,
    }
    return a_limit(name, value, **(fields | changes))


class Person:
    """Somebody with a key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = Ed25519PrivateKey.generate()

    @property
    def public(self) -> str:
        """Return the configured line."""
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def sign(self, message: Signed) -> str:
        return sign(message, self.name, self.key)


def signed(message: ResumeV1, *people: Person) -> ResumeV1:
    """Return the resume with these people's signatures."""
    return msgspec.structs.replace(message, signatures=tuple(person.sign(message) for person in people))


def control_of(*people: Person, required: int, delay_s: int = 0) -> Control:
    """Return the section that these people are in."""
    return Control(
        signers={person.name: person.public for person in people},
        signatures_required=required,
        delay_s=delay_s,
    )


def verifier_of(*people: Person, required: int, delay_s: int = 0) -> Verifier:
    """Return what judges their records in simulation."""
    return control_of(*people, required=required, delay_s=delay_s).verifier(Env.SIM, "main")
