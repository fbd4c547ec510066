"""Halts and resumes as they reach the executor, on three carriers that are OR-ed.

Whatever says "halt" closes the gate first and starts a kill ladder for what it reaches;
the local file is written beside it, so that the halt survives the loss of the bus. A
resume counts only when the control stream says so by itself: its newest halt is named.
The file follows the stream, except where it knows more: a halt that the stream never got,
or one that is newer than all that the stream has, which is then lost or restored from an
old copy. That is stored again in the executor's name before anything can lift it.

Each scope that is halted has one ladder; a stronger halt of the same scope starts another.
The local file speaks of the account only: a narrower halt is kept by the stream, and a
stream that is lost or cannot be read halts the account.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from libs.common.control.latch import STRENGTH, Halted, LatchState
from libs.common.messages.control import GateState, ScopeKind
from libs.common.runtime.latch_file import UNSTORED, LatchWord
from services.executor.core.account import Account
from services.executor.core.effects import Effect, Log, StartKill, WriteLatch
from services.executor.core.kill_scope import KillScope


@dataclass(slots=True)
class Halting:
    """The executor's own halt state.

    Attributes:
        account: Whose gate is closed.
        word: What the local file says.
        is_killed: True from the start of a kill until the resume after it: its groups are dead.
        halts: How often the account was halted.
        scoped: The narrower scopes that are halted now.
    """

    account: Account
    word: LatchWord
    is_killed: bool = False
    halts: int = 0
    scoped: dict[tuple[ScopeKind, str], KillScope] = field(default_factory=dict)
    _level: GateState = GateState.HALTED
    """How strongly the account is halted; born halted."""
    _has_heard: bool = False
    """Whether the word is of a halt that this process heard, whose stored copy it will see."""

    def on_latch(self, state: LatchState) -> list[Effect]:
        """Take what the control stream says now."""
        gate = self.account.gate
        gate.latch = state
        effects = self._on_scoped(state)
        ordered = next((one for one in state.halts if one.halt.scope is ScopeKind.ACCOUNT), None)
        if state.source == "unreadable" and ordered is not None:
            # The stream is away and somebody halts all the same: the core subject alone must be enough.
            told = replace(state, source=ordered.source, reason=ordered.halt.reason)
            return effects + self._on_halted(told)
        if state.source == "unreadable":
            # Closed, but nobody ordered it: permits and renewals decide how long orders may rest.
            return effects
        effects += self._on_older(state)
        if state.is_halted:
            return effects + self._on_halted(state)
        if self.word.halt_sequence == UNSTORED:
            gate.file_reason, gate.file_level = self.word.reason, self.word.level
            return effects  # the shell stores it; the stream then says halted
        gate.file_reason = ""
        sequence = state.halt_sequence
        stamp = state.stamps.get(sequence) or ""
        if self.word.is_halted or (self.word.halt_sequence, self.word.stamp) != (sequence, stamp):
            self.word = LatchWord(False, sequence, "resumed", stamp=stamp)
            effects.append(WriteLatch(is_halted=False, halt_sequence=sequence, reason="resumed", stamp=stamp))
        if self._level is not GateState.RUNNING:
            self._level = GateState.RUNNING
            effects.append(
                Log(
                    "RESUME",
                    fields={
                        "halt_sequence": state.halt_sequence,
                        "resume_sequence": state.resume_sequence,
                    },
                )
            )
        if self.is_killed and not gate.is_killing:
            self.is_killed = False
            effects.append(self.account.take_over("resumed after a halt: its order groups are dead"))
        return effects

    def is_halted(self, scope: KillScope) -> bool:
        """Return whether the scope of a ladder is still halted."""
        if scope.kind is ScopeKind.ACCOUNT:
            return self._level is not GateState.RUNNING
        return (scope.kind, scope.key) in self.scoped

    def on_stored(self, sequence: int) -> None:
        """A halt that only we knew is in the stream now."""
        if self.word.halt_sequence == UNSTORED:
            self.word = replace(self.word, halt_sequence=sequence)
            self._has_heard = False

    def _on_older(self, state: LatchState) -> list[Effect]:
        """Halt by the file where it knows a halt that the stream does not, lifted or not."""
        word = self.word
        if not state.is_of_another_stream(word.halt_sequence, word.stamp):
            return []
        reason = word.reason
        if not word.is_halted:
            reason = f"resumed after halt {word.halt_sequence}, which the stream does not know"
        self.word, self._has_heard = LatchWord(True, UNSTORED, reason, word.level), False
        return [WriteLatch(is_halted=True, halt_sequence=UNSTORED, reason=reason, level=word.level)]

    def _on_scoped(self, state: LatchState) -> list[Effect]:
        found: dict[tuple[ScopeKind, str], tuple[KillScope, Halted]] = {}
        for halted in state.halts:
            scope = KillScope.of(halted.halt)
            if scope.kind is ScopeKind.ACCOUNT:
                continue
            held = found.get((scope.kind, scope.key))
            if held is None or STRENGTH[scope.level] > STRENGTH[held[0].level]:
                found[scope.kind, scope.key] = (scope, halted)
        effects: list[Effect] = []
        for key, (scope, halted) in found.items():
            known = self.scoped.get(key)
            if known is not None and STRENGTH[known.level] >= STRENGTH[scope.level]:
                continue
            effects += self._log_halt(halted.source, halted.halt.reason, halted.sequence, scope)
            # What rested when this process started is withdrawn by recovery, whatever its scope.
            if self.account.gate.is_rebuilt or self.account.gate.is_recovered:
                effects.insert(0, StartKill(f"{halted.source}: {halted.halt.reason}", scope))
        lifted = self.scoped.keys() - found.keys()
        effects += [
            Log("RESUME", fields={"scope": self.scoped[key].name, "halt_sequence": state.halt_sequence})
            for key in sorted(lifted)
        ]
        if effects:
            self.account.dirty |= self.account.orders.markets() | self.account.targets.markets()
        self.scoped = {key: scope for key, (scope, _) in found.items()}
        return effects

    @property
    def astray(self) -> list[str]:
        """Return the narrower halts that reach nothing known here: perhaps a key that was mistyped."""
        return sorted(scope.name for scope in self.scoped.values() if not self._reaches_any(scope))

    def _reaches_any(self, scope: KillScope) -> bool:
        account = self.account
        if scope.kind is ScopeKind.STRATEGY:
            return any(scope.reaches("", "", 0, strategy) for strategy in account.targets.strategies())
        return any(
            scope.reaches(market, account.event_of(market), -1 if shard is None else shard, "")
            for market in account.known_markets()
            for shard in (account.shard_of(market),)
        )

    def _on_halted(self, state: LatchState) -> list[Effect]:
        effects: list[Effect] = []
        account = [one for one in state.halts if one.halt.scope is ScopeKind.ACCOUNT]
        heard = next((one.halt.reason for one in account if not one.sequence), None)
        sequence = UNSTORED if heard is not None else next((one.sequence for one in account), 0)
        if STRENGTH[state.level] > STRENGTH.get(self._level, 0):
            # Halted since the start needs no ladder: recovery lists until nothing rests, and the gate was
            # never open.
            self.halts += self._level is GateState.RUNNING
            self._level = state.level
            scope = KillScope(level=state.level)
            self.is_killed |= scope.is_whole
            effects.append(StartKill(f"{state.source}: {state.reason}", scope))
            effects += self._log_halt(state.source, state.reason, state.halt_sequence, scope)
        # A word that an earlier process could not store is replaced by nothing but its own stored copy.
        is_kept = self.word.halt_sequence == UNSTORED and not self._has_heard
        is_new = sequence not in (0, self.word.halt_sequence) and not is_kept
        is_stronger = STRENGTH[state.level] > STRENGTH.get(self.word.level, 0)
        if not self.word.is_halted or is_new or is_stronger:
            reason = state.reason if heard is None else heard
            kept = self.word.halt_sequence if is_kept else sequence
            stamp = state.stamps.get(kept, "")
            self.word = LatchWord(True, kept, reason, state.level, stamp or "")
            self._has_heard = kept == UNSTORED and not is_kept
            # What was acknowledged and not seen in the stream yet names nothing that a file could hold on to.
            told = UNSTORED if stamp is None else kept
            effects.append(
                WriteLatch(
                    is_halted=True,
                    halt_sequence=told,
                    reason=reason,
                    level=state.level,
                    stamp=stamp or "",
                )
            )
        return effects

    @staticmethod
    def _log_halt(source: str, reason: str, sequence: int, scope: KillScope) -> list[Effect]:
        fields = {
            "source": source,
            "reason": reason,
            "halt_sequence": sequence,
            "level_word": scope.level.value,
            "scope": scope.name,
        }
        return [Log("HALT", level="WARNING", fields=fields)]
