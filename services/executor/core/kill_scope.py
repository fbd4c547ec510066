"""What a halt reaches: the whole account, or what of it has this shard, series, event, market, strategy.

A scope answers one question of one order: must it go? At the levels `HALTED` and
`CANCEL_ONLY` everything in reach must. At `REDUCE_ONLY` only what could make a
position larger: orders on the side that shrinks it stay, oldest first, as long as
together they cannot cross zero. Whose strategy an order is is known only of those this
process made; an order that nobody can place belongs to the halted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from libs.common.control.latch import names_strategy
from libs.common.messages.control import GateState, HaltV1, ScopeKind


@dataclass(frozen=True, slots=True)
class KillScope:
    """How far a halt reaches, and how much it leaves."""

    kind: ScopeKind = ScopeKind.ACCOUNT
    key: str = ""
    level: GateState = GateState.HALTED

    @classmethod
    def of(cls, halt: HaltV1) -> KillScope:
        """Return the scope that a halt names."""
        key = "" if halt.scope is ScopeKind.ACCOUNT else halt.scope_key
        return cls(halt.scope, key, halt.level)

    @property
    def name(self) -> str:
        """Return how people write it: ``account``, ``market:KX-1``."""
        return f"{self.kind.value}:{self.key}" if self.key else self.kind.value

    @property
    def is_whole(self) -> bool:
        """Return whether nothing of the account may rest: then its groups and cancel-all are used."""
        return self.kind is ScopeKind.ACCOUNT and self.level is not GateState.REDUCE_ONLY

    @property
    def shard(self) -> int | None:
        """Return the only shard it reaches, or None; a key that is no number reaches none."""
        if self.kind is not ScopeKind.SHARD:
            return None
        return int(self.key) if self.key.isdecimal() else -1

    def triggers(self, shard: int) -> bool:
        """Return whether the shard's order group holds nothing but what must go."""
        if self.level is GateState.REDUCE_ONLY:
            return False
        return self.kind is ScopeKind.ACCOUNT or self.shard == shard

    def reaches(self, market: str, event: str, shard: int, strategy: str) -> bool:
        """Return whether an order with these keys is within it."""
        if self.kind is ScopeKind.STRATEGY:
            return not strategy or names_strategy(self.key, strategy)
        keys: Mapping[ScopeKind, str] = {
            ScopeKind.ACCOUNT: "",
            ScopeKind.SHARD: str(shard),
            ScopeKind.SERIES: event.partition("-")[0],
            ScopeKind.EVENT: event,
            ScopeKind.MARKET: market,
        }
        return keys[self.kind] == self.key


WHOLE: Final = KillScope()
