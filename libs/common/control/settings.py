"""Section ``[control]`` of whoever judges resumes: whose signatures count, and how many are needed.

A mode sets the least: none where nothing of value can be lost (`sim`, `paper`), one at
the exchange's demo, two people in `live`, or one person whose word counts only after a
delay of five minutes or more.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from libs.common.control.signing import Verifier, public_key
from libs.common.env import Env

DELAY_S_MIN: Final = 300
"""What stands in for the second person in `live`."""
_LEAST: Final = {Env.SIM: 0, Env.PAPER: 0, Env.DEMO: 1, Env.LIVE: 2}


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section.

    Attributes:
        signers: People by name, each with the base64 of an Ed25519 public key (`dora keys new`).
        signatures_required: Different people who must sign; None takes the mode's least.
        delay_s: Seconds that a signed record waits in the stream before it counts, for all to see.
    """

    signers: dict[str, str] = msgspec.field(default_factory=dict)
    signatures_required: Annotated[int, msgspec.Meta(ge=0, le=16)] | None = None
    delay_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0

    def required(self, env: Env) -> int:
        """Return how many people must sign."""
        return _LEAST[env] if self.signatures_required is None else self.signatures_required

    def check(self, env: Env) -> None:
        """Refuse what the mode does not allow.

        Raises:
            ValueError: Too few signatures for the mode, a key that is none, or one key under two names.
        """
        keys: dict[bytes, str] = {}
        for name, text in self.signers.items():
            if not name or ":" in name:
                raise ValueError(f"expected a name without a colon in control.signers, was {name!r}")
            try:
                key = public_key(text).public_bytes_raw()
            except ValueError as e:
                raise ValueError(f"expected for control.signers.{name} {e}") from None
            # By the key itself: base64 has more than one text for the same bytes.
            if keys.setdefault(key, name) != name:
                raise ValueError("expected a key for each person in control.signers, was one under two names")
        least = _LEAST[env]
        if env is Env.LIVE and self.delay_s >= DELAY_S_MIN:
            least = 1
        required = self.required(env)
        if required < least:
            raise ValueError(
                f"expected control.signatures_required of at least {least} in {env.value}, was {required}"
            )
        if env is Env.LIVE and len(self.signers) < required:
            raise ValueError(f"expected {required} people in control.signers, were {len(self.signers)}")

    def verifier(self, env: Env, account: str) -> Verifier:
        """Return what judges the records of an account."""
        keys = {name: public_key(text) for name, text in self.signers.items()}
        return Verifier(env.value, account, keys, self.required(env), self.delay_s * 1_000)
