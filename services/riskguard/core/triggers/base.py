"""What a trigger sees and what it says.

A trigger is a pure question to one frozen view. It latches (halt; only a resume
in two steps lifts it) or it pauses (the permit closes and opens by itself).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from libs.common.messages.control import GateState
from services.riskguard.core.conduct.view import ConductView
from services.riskguard.core.health.view import HealthView
from services.riskguard.core.limits import Limits
from services.riskguard.core.money.view import MoneyView
from services.riskguard.core.slow.view import SlowView


@dataclass(frozen=True, slots=True)
class View:
    """Everything a trigger may look at, at one moment.

    Attributes:
        day_e6: Result of the day at liquidation.
        high_water_e6: Its highest value of the day, never negative.
        positions: Signed quantity of each market, the larger of our own sum and the listing.
        market_exposure_e6: Worst-case loss of each market.
        event_exposure_e6: Worst-case loss of each event.
        account_exposure_e6: Worst-case loss of everything.
        stale_books: Why a book of a market that we are in cannot be believed; one text each.
        executor_silence_ms: How long the leader has been silent.
        executor_silence_ms_max: How long it may be.
        recon_problem: Why the reconciler's permit does not hold; empty when it does.
        orders_last_minute: New orders of ours that the venue showed us.
        money: What the money area saw.
        conduct: What the conduct area saw.
        health: What the health area saw.
        slow: What the watchers of slow killers saw.
    """

    day_e6: int = 0
    high_water_e6: int = 0
    positions: Mapping[str, int] = field(default_factory=dict)
    market_exposure_e6: Mapping[str, int] = field(default_factory=dict)
    event_exposure_e6: Mapping[str, int] = field(default_factory=dict)
    account_exposure_e6: int = 0
    stale_books: tuple[str, ...] = ()
    executor_silence_ms: int = 0
    executor_silence_ms_max: int = 3_000
    recon_problem: str = ""
    orders_last_minute: int = 0
    money: MoneyView = field(default_factory=MoneyView)
    conduct: ConductView = field(default_factory=ConductView)
    health: HealthView = field(default_factory=HealthView)
    slow: SlowView = field(default_factory=SlowView)


@dataclass(frozen=True, slots=True)
class Fired:
    """One trigger that fires, with the limit and what was found; a latching one halts at ``level``."""

    trigger: str
    text: str
    limit: int
    was: int
    is_latching: bool
    level: GateState = GateState.HALTED


class Trigger(Protocol):
    """One rule."""

    @property
    def name(self) -> str:
        """Return the word of `HaltV1.trigger` and `AuditRiskV1.trigger`."""
        ...

    @property
    def text(self) -> str:
        """Return what it means, for people (D-068)."""
        ...

    @property
    def is_latching(self) -> bool:
        """Return whether it halts, or only pauses."""
        ...

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        ...


def worst_of(amounts: Mapping[str, int]) -> tuple[str, int]:
    """Return the name and size of the largest amount, either way; nothing is empty and 0."""
    if not amounts:
        return "", 0
    name = max(amounts, key=lambda key: (abs(amounts[key]), key))
    return name, abs(amounts[name])


def evaluate(triggers: Iterable[Trigger], view: View, limits: Limits) -> tuple[Fired, ...]:
    """Return everything that fires, not only the first (D-069); what cannot be judged halts."""
    return tuple(fired for trigger in triggers if (fired := _checked(trigger, view, limits)) is not None)


def _checked(trigger: Trigger, view: View, limits: Limits) -> Fired | None:
    try:
        return trigger.check(view, limits)
    except Exception as e:  # noqa: BLE001 - one rule's mistake must not take the others and the lane with it
        text = f"{trigger.name} cannot be judged: {type(e).__name__}: {e}"
        return Fired(trigger.name, text, limit=0, was=1, is_latching=True)
