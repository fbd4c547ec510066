"""A riskguard's core without its shell: what it heard is written here, time is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from libs.common.kalshi.model import FeedHeard
from libs.common.messages.control import HaltV1, PermitV1
from libs.common.messages.health import BeatV1
from libs.common.runtime.latch_file import LatchWord
from services.riskguard.core.account import Account
from services.riskguard.core.areas import Areas
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.day import TradingDay
from services.riskguard.core.effects import Effect, Halt
from services.riskguard.core.emergency import EmergencyLane, Leader
from services.riskguard.core.judge import Patience
from services.riskguard.core.latches import Latches
from services.riskguard.core.limits import Limits
from services.riskguard.core.marks import Marks
from services.riskguard.core.open_orders import OpenOrders
from services.riskguard.core.reading import Reading
from services.riskguard.core.resume import ResumeDesk
from services.riskguard.core.triggers.base import Fired, Trigger, View
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.support.resumes import UNSIGNED, a_resume, admission
from tests.support.riskguard_limits import WIDE
from tests.support.truth_builders import MS, NOW_MS, S

RUNNING = LatchWord(is_halted=False, halt_sequence=1, reason="")
RESUME = a_resume(1, at_ms=NOW_MS)


def guard(word: LatchWord = RUNNING, limits: Limits = WIDE) -> RiskguardCore:
    """Return a guard that has heard nothing yet."""
    return RiskguardCore(
        account_id="main",
        limits=limits,
        patience=Patience(2 * S, 10 * S, 2 * S, 5_000, 3 * S),
        account=Account(TradingDay(ZoneInfo("UTC"), 0), Marks(5 * S), OpenOrders("sim")),
        latches=Latches(word, admission()),
        leader=Leader(0),
        lane=EmergencyLane(3 * S, S),
        desk=ResumeDesk(60 * S, UNSIGNED),
        areas=Areas.under(limits),
    )


def running_guard(limits: Limits = WIDE) -> RiskguardCore:
    """Return a guard that was resumed and has heard from everybody just now."""
    core = guard(limits=limits)
    core.on_halt(1, "init", HaltV1(reason="born halted"))
    core.on_resume(2, RESUME, NOW_MS, NOW_MS)
    core.on_control_readable()
    core.on_memory(None)
    core.on_reading(reading(), 0)
    core.on_feed(FeedHeard(NOW_MS), 0)
    core.on_recon_permit(permit(1), 0)
    core.on_tick(0, NOW_MS)
    return core


def reading(started_ns: int = 0, **parts: object) -> Reading:
    """Return a reading of the venue: empty but for these parts."""
    fields: dict[str, object] = {"orders": (), "fills": (), "positions": (), "settlements": ()}
    return Reading(started_ns, **{**fields, **parts})  # type: ignore[arg-type]


def permit(counter: int, **changes: object) -> PermitV1:
    """Return an open permit of the reconciler."""
    fields: dict[str, object] = {
        "issuer": "recon",
        "boot": "b",
        "counter": counter,
        "account": "main",
        "is_open": True,
    }
    return PermitV1(**{**fields, **changes})  # type: ignore[arg-type]


def beat(service: str, counter: int = 1, **changes: object) -> BeatV1:
    """Return a heartbeat of a service whose clock is not told."""
    fields: dict[str, object] = {
        "service": service,
        "instance": f"{service}-1",
        "run": "run",
        "counter": counter,
        "is_ready": True,
        "build": "build",
        "config_hash": "hash",
    }
    return BeatV1(**{**fields, **changes})  # type: ignore[arg-type]


def halts(effects: Iterable[Effect]) -> list[Halt]:
    """Return the halts among effects."""
    return [effect for effect in effects if isinstance(effect, Halt)]


def tick(core: RiskguardCore, now_ns: int) -> list[Effect]:
    """Let both clocks have gone on equally since `running_guard`, and evaluate."""
    return core.on_tick(now_ns, NOW_MS + now_ns // MS)


def red(core: RiskguardCore) -> set[str]:
    """Return the names of what fires as of the last tick."""
    return {fired.trigger for fired in core.standing.fired}


def trigger(name: str) -> Trigger:
    """Return a trigger of the registry, as the service runs it."""
    return next(one for one in TRIGGERS if one.name == name)


def check(name: str, view: View, limits: Limits) -> Fired | None:
    """Return how one trigger fires on a view, or None."""
    return trigger(name).check(view, limits)
