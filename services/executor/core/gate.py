"""Whether a create or an amend may leave, as a list of conditions that must all be proven now.

Born halted, halted by silence (design rule 6): each condition holds the moment
when it was last proven, and one that is missing, old or unreadable is closed.
"No halt seen" is no condition here; a fresh permit is. Cancels and group triggers
never ask. Ages are of the receiver's monotonic clock, only the book's age is of the
exchange's own time. A permit that a frozen broker held back is as old as its issuer's
wall clock says it is, wherever that is older than its arrival.

Two questions: may risk be opened, and may an exit (reduce-only, immediate or cancel)
leave. A halt at level `REDUCE_ONLY` closes the first and not the second; everything
else closes both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from libs.common.control.latch import STRENGTH, Halted, LatchState
from libs.common.control.ramp import FULL_E4
from libs.common.messages.control import GateState, PermitV1, ScopeKind
from libs.common.messages.market import MarketState, TopV1
from services.executor.core.hearing import Hearing

_S: Final = 1_000_000_000
_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Longest ages at which a proof still counts."""

    renew_age_ns: int = 3 * _S
    permit_age_ns: int = 2 * _S
    echo_age_ns: int = 1_500_000_000
    book_age_ms: int = 2_000
    loop_lag_ns: int = 250_000_000


@dataclass(slots=True)
class _Permit:
    boot: str
    counter: int
    is_open: bool
    sent_ns: int
    """By our monotonic clock: its arrival, or as much earlier as the wall clocks say that it was sent."""
    reasons: tuple[str, ...]
    scale_e4: int
    epoch: int
    exits_open: bool
    is_ahead: bool = False
    """Whether it was sent in our future."""


@dataclass(slots=True)
class Gate:
    """The conditions and what was last proven about each.

    Attributes:
        account: Whose permits count.
        issuers: Which permits are needed.
        epoch: Ours; a permit of who has not seen it yet says nothing about it.
        is_recovered: True once start-up has rebuilt and verified everything.
        is_rebuilt: True once this process knows its positions; a takeover from itself keeps them.
        renewed_ns: When the epoch was last renewed, None without an epoch.
        is_fence_lost: True for good once another leader was seen.
        latch: Fold of the control stream.
        file_reason: What the local latch file says, empty if clear.
        file_level: How strongly the file stops; what cannot be read stops everything.
        is_stopping: True from SIGTERM on.
        hearing: Whether the venue's word on our orders is heard.
        is_flattening: True while positions are being closed: exits pass, nothing that opens risk does.
    """

    account: str
    limits: GateLimits
    issuers: tuple[str, ...] = ("risk", "recon")
    epoch: int = 0
    is_recovered: bool = False
    is_rebuilt: bool = False
    renewed_ns: int | None = None
    is_fence_lost: bool = False
    latch: LatchState | None = None
    file_reason: str = "local latch not read"
    file_level: GateState = GateState.HALTED
    is_killing: bool = False
    is_stopping: bool = False
    is_flattening: bool = False
    loop_lag_ns: int = 0
    hearing: Hearing = field(default_factory=Hearing)
    _permits: dict[str, _Permit] = field(default_factory=dict)
    _tops: dict[str, TopV1] = field(default_factory=dict)

    def on_permit(self, issuer: str, permit: PermitV1, now_ns: int, now_ms: int = 0) -> bool:
        """Take a permit; return False where it is foreign or replayed and changes nothing.

        A counter counts within one boot of its issuer; a new boot starts over.

        Args:
            issuer: Whose it is.
            permit: What it says.
            now_ns: Our monotonic clock, by which it ages from here on.
            now_ms: Our wall clock, compared with the issuer's; 0 compares nothing.
        """
        if permit.account != self.account:
            return False
        held = self._permits.get(issuer)
        if held is not None and held.boot == permit.boot and permit.counter <= held.counter:
            return False
        late_ms = now_ms - permit.sent_ms if now_ms and permit.sent_ms else 0
        self._permits[issuer] = _Permit(
            permit.boot,
            permit.counter,
            permit.is_open,
            now_ns - max(0, late_ms) * _MS,
            permit.reasons,
            permit.scale_e4,
            permit.epoch,
            permit.exits_open,
            is_ahead=-late_ms * _MS > self.limits.permit_age_ns,
        )
        return True

    def on_top(self, top: TopV1) -> bool:
        """Take a touch of a market; return False where an older one came late and changes nothing.

        A run of marketdata numbers what it says; between two runs, exchange time tells the newer.
        """
        held = self._tops.get(top.market)
        if held is not None:
            is_same = held.producer == top.producer
            if (top.sequence < held.sequence) if is_same else (top.as_of_ms < held.as_of_ms):
                return False
        self._tops[top.market] = top
        return True

    def forget(self, market: str) -> None:
        """Drop what is held of a market that is no more."""
        self._tops.pop(market, None)

    def top(self, market: str) -> TopV1 | None:
        """Return the market's newest touch, fresh or not."""
        return self._tops.get(market)

    @property
    def scale_e4(self) -> int:
        """Return the smallest size factor that a permit grants, ten-thousandths.

        Without any permit nothing is sent, and what rests is nobody's to make smaller.
        """
        return min((permit.scale_e4 for permit in self._permits.values()), default=FULL_E4)

    def halt_reasons(self) -> list[str]:
        """Return why the account is halted: latches only, whatever else is closed."""
        return self._latch_reasons(is_exit=False)

    def account_reasons(self, now_ns: int, echo_age_ns: int) -> list[str]:
        """Return why nothing that opens risk may leave for any market; empty is open."""
        flattening = ["flattening"] if self.is_flattening else []
        proofs = self._proof_reasons(now_ns, echo_age_ns, is_exit=False)
        return [*self.halt_reasons(), *flattening, *proofs]

    def exit_reasons(self, now_ns: int, echo_age_ns: int) -> list[str]:
        """Return why no exit may leave: the same, but a halt at level `REDUCE_ONLY` lets it pass."""
        return [
            *self._latch_reasons(is_exit=True),
            *self._proof_reasons(now_ns, echo_age_ns, is_exit=True),
        ]

    def market_reasons(
        self,
        market: str,
        now_ms: int,
        *,
        exit: bool = False,  # noqa: A002 - reads as the trade's word at the call
        strategy: str | None = None,
    ) -> list[str]:
        """Return why no create may leave for this market; empty is open.

        Args:
            market: The market.
            now_ms: Exchange time.
            exit: Whether it is an exit, which a scoped halt at level `REDUCE_ONLY` lets pass.
            strategy: Whose order it is; None is unknown, and what is unknown belongs to the halted one.
        """
        top = self._tops.get(market)
        if top is None:
            return ["no_book"]
        reasons = []
        if top.is_stale or now_ms - top.as_of_ms > self.limits.book_age_ms:
            reasons.append("book_stale")
        if top.as_of_ms - now_ms > self.limits.book_age_ms:
            # One of the two clocks is wrong, and by ours an old book would look young for as long.
            reasons.append("book_from_the_future")
        if top.state is not MarketState.ACTIVE:
            reasons.append("market_not_active")
        if not top.trading_active:
            reasons.append("trading_paused")
        if top.close_ms <= now_ms:
            reasons.append("market_closed")
        reasons.extend(
            f"halt_scoped: {halted.source}: {halted.halt.reason}"
            for halted in self.scoped_halts(market, strategy)
            if not (exit and halted.halt.level is GateState.REDUCE_ONLY)
        )
        return reasons

    def scoped_halts(self, market: str, strategy: str | None = None) -> list[Halted]:
        """Return the unlifted halts, narrower than the account, that reach this market (and strategy)."""
        if self.latch is None:
            return []
        top = self._tops.get(market)
        keys = {ScopeKind.MARKET: market}
        if top is not None:
            keys |= {
                ScopeKind.EVENT: top.event,
                ScopeKind.SHARD: str(top.shard),
                ScopeKind.SERIES: top.event.partition("-")[0],
            }
        if strategy:
            keys[ScopeKind.STRATEGY] = strategy
        return [
            halted
            for halted in self.latch.halts
            if (halted.halt.scope is ScopeKind.STRATEGY and not strategy)
            or (halted.halt.scope is not ScopeKind.ACCOUNT and halted.reaches(keys))
        ]

    def state(self, now_ns: int, echo_age_ns: int) -> GateState:
        """Return the gate's one word."""
        if not self.is_recovered:
            return GateState.HALTED if self._is_latched() else GateState.STARTING
        if self.is_fence_lost or self.is_stopping:
            return GateState.HALTED
        if self._is_latched():
            return self._latched_level()
        return GateState.CANCEL_ONLY if self.account_reasons(now_ns, echo_age_ns) else GateState.RUNNING

    def _is_latched(self) -> bool:
        if self.file_reason or self.latch is None:
            return True
        # A stream that cannot be read now closes the gate; it is no halt that somebody ordered.
        return self.latch.is_halted and self.latch.source != "unreadable"

    def _latched_level(self) -> GateState:
        # The strongest of the carriers counts, as for the halt itself.
        levels = []
        if self.file_reason:
            levels.append(self.file_level)
        if self.latch is None:
            levels.append(GateState.HALTED)
        elif self.latch.is_halted:
            levels.append(self.latch.level)
        return max(levels, key=STRENGTH.__getitem__)

    def _latch_reasons(self, *, is_exit: bool) -> list[str]:
        reasons = []
        if self.latch is None:
            reasons.append("control_unread")
        elif self.latch.is_halted and not (is_exit and self.latch.level is GateState.REDUCE_ONLY):
            reasons.append(f"halt_latched: {self.latch.source}: {self.latch.reason}")
        if self.file_reason and not (is_exit and self.file_level is GateState.REDUCE_ONLY):
            reasons.append(f"halt_local: {self.file_reason}")
        return reasons

    def _proof_reasons(self, now_ns: int, echo_age_ns: int, *, is_exit: bool) -> list[str]:
        reasons = []
        if self.is_fence_lost:
            reasons.append("fence_lost")
        if self.is_stopping:
            reasons.append("stopping")
        if self.is_killing:
            reasons.append("kill_under_way")
        if not self.is_recovered:
            reasons.append("recovering")
        if self.renewed_ns is None:
            reasons.append("no_epoch")
        elif now_ns - self.renewed_ns >= self.limits.renew_age_ns:
            reasons.append("epoch_not_renewed")
        if echo_age_ns > self.limits.echo_age_ns:
            reasons.append("echo_old")
        if self.loop_lag_ns > self.limits.loop_lag_ns:
            reasons.append("loop_late")
        reasons.extend(self.hearing.reasons(now_ns))
        for issuer in self.issuers:
            reasons.extend(self._permit_reasons(issuer, now_ns, is_exit=is_exit))
        return reasons

    def _permit_reasons(self, issuer: str, now_ns: int, *, is_exit: bool) -> list[str]:
        permit = self._permits.get(issuer)
        if permit is None:
            return [f"permit_{issuer}_missing"]
        if now_ns - permit.sent_ns > self.limits.permit_age_ns:
            return [f"permit_{issuer}_old"]
        if permit.is_ahead:
            # One of the two clocks is wrong, and by ours an old permit would look young for as long.
            return [f"permit_{issuer}_from_the_future"]
        if not permit.is_open and not (is_exit and permit.exits_open):
            return [f"permit_{issuer}_closed: {', '.join(permit.reasons)}"]
        if permit.epoch < self.epoch:
            return [f"permit_{issuer}_other_epoch"]
        return []
