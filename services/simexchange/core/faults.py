"""The switchboard of faults a real venue shows (kalshi-api 25.4), thrown from outside.

Rules are a list, looked at for every request in order; a rule counts down and
disappears. Nothing random unless a rule asks for a probability, and then from
the seeded generator handed in.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol


class Chance(Protocol):
    """A seeded generator, handed in: `random.Random` fits."""

    def random(self) -> float:
        """Return a number from 0 up to 1."""
        ...


class FaultKind(enum.StrEnum):
    """What happens to a request or a connection."""

    DROP_RESPONSE = "drop_response"
    """Do it, then close the connection without an answer."""
    DROP_REQUEST = "drop_request"
    """Close the connection without doing it."""
    DELAY = "delay"
    """Do it, answer after ``seconds``."""
    DELAY_BEFORE = "delay_before"
    """Wait ``seconds``, then do it and answer."""
    RATE_LIMIT = "rate_limit"
    """429, nothing done."""
    ERROR_BEFORE = "error_before"
    """``status`` (5xx), nothing done."""
    ERROR_AFTER = "error_after"
    """Done, but answered with ``status`` (5xx)."""
    FOREIGN_ECHO = "foreign_echo"
    """Done, but the answer names another client order id."""
    MISSING_ITEM = "missing_item"
    """A batch answer lacks its last item."""
    GARBLED = "garbled"
    """Done, but the body is cut in half."""
    WS_SEQ_GAP = "ws_seq_gap"
    """The next sequenced message of every subscription skips a number."""
    WS_DISCONNECT = "ws_disconnect"
    """Every WebSocket connection is cut without a close frame."""
    WS_OVERFLOW = "ws_overflow"
    """Every subscription ends with terminal error 25."""
    WS_SILENCE = "ws_silence"
    """Connections stay open and say nothing for ``seconds``."""


@dataclass(slots=True)
class FaultRule:
    """One thrown switch.

    Attributes:
        kind: What to do.
        match: Which requests: ``"METHOD /path/prefix"`` below ``/trade-api/v2``, or empty for all.
        count: How often it still applies.
        seconds: For delays.
        status: For errors.
        probability: Below 1 the rule applies by chance and does not count misses.
    """

    kind: FaultKind
    match: str = ""
    count: int = 1
    seconds: float = 0.0
    status: int = 503
    probability: float = 1.0


@dataclass(slots=True)
class FaultBoard:
    """The rules in force."""

    chance: Chance
    rules: list[FaultRule] = field(default_factory=list)
    applied: dict[str, int] = field(default_factory=dict)

    def throw(self, rule: FaultRule) -> None:
        """Add a rule."""
        self.rules.append(rule)

    def clear(self) -> None:
        """Take back every rule."""
        self.rules.clear()

    def take(self, method: str, path: str) -> FaultRule | None:
        """Return the first request rule that applies, counting it down, or None."""
        for rule in self.rules:
            if rule.kind.value.startswith("ws_") or not _matches(rule.match, method, path):
                continue
            if self._spend(rule):
                return rule
        return None

    def take_kind(self, kind: FaultKind) -> FaultRule | None:
        """Return a rule of this kind, counting it down, or None; for the WebSocket face."""
        for rule in self.rules:
            if rule.kind is kind and self._spend(rule):
                return rule
        return None

    def _spend(self, rule: FaultRule) -> bool:
        if rule.probability < 1 and self.chance.random() >= rule.probability:
            return False
        rule.count -= 1
        if rule.count <= 0:
            self.rules.remove(rule)
        self.applied[rule.kind.value] = self.applied.get(rule.kind.value, 0) + 1
        return True


def _matches(pattern: str, method: str, path: str) -> bool:
    if not pattern:
        return True
    wanted_method, _, wanted_path = pattern.partition(" ")
    return method == wanted_method and path.startswith(wanted_path)
