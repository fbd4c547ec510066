"""What a restart must not forget within a day, and when it is stored.

Fills, settlements and round trips are read again from the venue. What the venue
cannot tell again is stored in AUDIT: the worth of what was held when the day
began, the day's best result, and the baselines of the balance. Until the newest
record was read nothing is judged by them and the permit stays closed; a record of
another day or account is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from libs.common.messages.risk import RiskStateV1
from services.riskguard.core.account import Account
from services.riskguard.core.money.balance import Balances

_PAUSE_NS: Final = 1_000_000_000
"""Stored at most this often."""


@dataclass(slots=True)
class Memory:
    """What was read, and what was stored last."""

    problem: str = "the stored state is not read yet"
    """Why nothing is known of the day so far; empty once it is."""
    _stored: RiskStateV1 | None = None
    _stored_ns: int | None = None

    @property
    def is_read(self) -> bool:
        """Return whether the newest record was read, or none was there."""
        return not self.problem

    def on_unreadable(self, why: str) -> None:
        """Say that it could not be read; once read it needs no reading any more."""
        if not self.is_read:
            self.problem = f"the stored state could not be read: {why}"

    def on_read(
        self, state: RiskStateV1 | None, account_id: str, account: Account, balances: Balances
    ) -> bool:
        """Take the newest record, None if there never was one; return whether it is of this day and used."""
        if self.is_read:
            return False
        self.problem = ""
        if state is None or state.account != account_id or state.day_ms != account.day_ms:
            return False
        account.high_water_e6 = max(account.high_water_e6, state.high_water_e6)
        account.opening.restore(state.open_marks)
        balances.restore(state.shards, state.total_high_e6, state.moves_since_ms, state.moves_used)
        self._stored = msgspec.structs.replace(state, as_of_ns=0)
        return True

    def due(
        self,
        account_id: str,
        account: Account,
        balances: Balances,
        now_ns: int,
        now_ms: int,
        *,
        is_last: bool = False,
    ) -> RiskStateV1 | None:
        """Return what is to be stored now, or None: nothing changed, or something was stored just now.

        Args:
            account_id: Whose.
            account: Our own reading.
            balances: The account's money.
            now_ns: Monotonic.
            now_ms: Wall clock.
            is_last: The process ends: there is no later.
        """
        if not self.is_read or account.read_ns is None:
            return None
        if not is_last and self._stored_ns is not None and now_ns - self._stored_ns < _PAUSE_NS:
            return None
        marks = (account.opening.of(market) for market in sorted(account.held_at_opening()))
        state = RiskStateV1(
            account=account_id,
            day_ms=account.day_ms,
            high_water_e6=account.high_water_e6,
            open_marks=tuple(mark for mark in marks if mark is not None),
            shards=balances.states(),
            total_high_e6=balances.total_high_e6,
            moves_since_ms=balances.moves_since_ms,
            moves_used=tuple(balances.used),
            as_of_ns=0,
        )
        if state == self._stored:
            return None
        self._stored, self._stored_ns = state, now_ns
        return msgspec.structs.replace(state, as_of_ns=now_ms * 1_000_000)
