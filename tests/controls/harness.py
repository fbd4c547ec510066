"""One trigger's round: start with its limits, provoke, measure, check who is named, relieve, run again."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from libs.cli.operate import OperationRefused
from libs.common.bus.api import BusError
from services.riskguard.core.triggers.base import Trigger
from tests.controls.rig import PATIENCE_S, Rig
from tests.controls.watch import Seen

BOUND_MS: Final = 1_000
"""From the condition's being visible to a closed gate (D-121)."""
_LATE_S: Final = 10.0
_GATE, _PERMIT = "gate", "permit"
_STOPPED: Final = ("halted", "reduce_only")
"""What the executor says once it took a halt of either level."""


@dataclass(frozen=True)
class Round:
    """What was measured and shown.

    Attributes:
        closed_ms: Provoked → gate closed, milliseconds.
        bound_ms: What it may take: the window that detection needs by definition, and a second.
        window_ms: That window.
        measured_at: ``gate``: the executor's own word; ``permit``: the riskguard's, where the executor is
            what was silenced.
    """

    closed_ms: float
    bound_ms: int
    window_ms: int
    measured_at: str


def provocation_of(name: str) -> ModuleType | None:
    """Return the module that provokes a trigger, None if nobody wrote one."""
    path = f"tests.controls.provocations.{name}"
    return importlib.import_module(path) if importlib.util.find_spec(path) is not None else None


async def perform(rig: Rig, trigger: Trigger, module: ModuleType) -> Round:
    """Perform one round.

    Raises:
        AssertionError: Something is not as it must be; the world is put right again all the same.
    """
    try:
        return await _perform(rig, trigger, module)
    finally:
        rig.watch.is_polling = False
        await _put_right(rig)


async def _perform(rig: Rig, trigger: Trigger, module: ModuleType) -> Round:
    provoke: Callable[[Rig], Awaitable[float]] = module.provoke
    window_ms = int(getattr(module, "WINDOW_MS", 0))
    measured_at = str(getattr(module, "MEASURED_AT", _GATE))
    assert measured_at in (_GATE, _PERMIT), measured_at
    await _step(module, "prepare", rig)
    await rig.guard(await _limits(module, rig), getattr(module, "SETTINGS", None))
    await rig.until_running()

    watch = rig.watch
    watch.forget()
    watch.is_polling = True
    await rig.until(lambda: watch.newest is not None and watch.gate, "an executor that answers")
    assert watch.gate[-1].what.state == "running", f"a gate that runs, was {watch.gate[-1].what}"
    provoked_s = await provoke(rig)
    assert isinstance(provoked_s, float), "provoke returns the moment, monotonic seconds"
    limit_s = (window_ms + BOUND_MS) / 1_000 + _LATE_S
    closed_s = await _closed(rig, trigger, measured_at, provoked_s, limit_s)
    await _is_named(rig, trigger)
    await _step(module, "exhaust", rig)
    if trigger.is_latching:
        await _refuses_while_red(rig, trigger)
    watch.is_polling = False

    await _relieve(module, rig)
    if trigger.is_latching:
        said = await rig.status("executor")
        assert said.state != "running", f"a latch that only a resume lifts, was {said.state}"
        await rig.resume()
    await rig.until_running()
    closed_ms = (closed_s - provoked_s) * 1_000
    assert closed_ms >= 0, f"a gate that closes after it was provoked, was {closed_ms:.0f} ms before"
    bound_ms = window_ms + BOUND_MS
    return Round(round(closed_ms, 1), bound_ms, window_ms, measured_at)


async def _closed(rig: Rig, trigger: Trigger, measured_at: str, provoked_s: float, limit_s: float) -> float:
    """Return when the gate closed, and for a latching trigger wait until it says halted."""
    watch = rig.watch

    def closed_s() -> float | None:
        if measured_at == _PERMIT:
            seen = watch.permit_closed()
            return None if seen is None else seen.at_s
        return watch.gate_closed_s(trigger.text)

    left_s = max(1.0, provoked_s + limit_s - rig.now_s())
    await rig.until(
        lambda: closed_s() is not None, f"{trigger.name}: a closed {measured_at}", left_s, poll_s=0.01
    )
    if trigger.is_latching and measured_at == _GATE:
        await rig.until(
            lambda: watch.newest is not None and watch.newest.state in _STOPPED,
            f"{trigger.name}: an executor that says halted",
            _LATE_S,
            poll_s=0.02,
        )
        assert watch.newest is not None
        # The listener's thread stamps the halt itself: the closing is never later than that.
        heard_s = watch.newest.gauges["halt_heard_mono_ns"] / 1e9
        polled_s = closed_s()
        assert polled_s is not None
        return min(polled_s, heard_s) if heard_s >= provoked_s else polled_s
    at_s = closed_s()
    assert at_s is not None
    return at_s


async def _is_named(rig: Rig, trigger: Trigger) -> None:
    """Check that this trigger, and no other one before it, is on record and in the carrier's own words."""
    watch = rig.watch
    await rig.until(lambda: watch.fired, f"{trigger.name}: a record that a trigger fired", 5)
    first = watch.fired[0].what.trigger
    assert first == trigger.name, f"{trigger.name} fires first, was {first}: {_texts(watch.fired)}"
    if trigger.is_latching:
        await rig.until(watch.halted, f"{trigger.name}: a halt", 5)
        source, halt = watch.halts[0].what
        assert (source, halt.trigger) == ("riskguard", trigger.name), f"was {source}: {halt}"
        assert halt.reason.startswith(trigger.text), f"{trigger.text!r} in the halt, was {halt.reason!r}"
    else:
        assert not watch.halts, f"{trigger.name} only pauses, was a halt: {watch.halts[0].what}"
        await rig.until(watch.permit_closed, f"{trigger.name}: a closed permit", 5)
        closed = watch.permit_closed()
        assert closed is not None
        reasons = closed.what.reasons
        assert any(reason.startswith(trigger.text) for reason in reasons), (
            f"{trigger.text!r} in the closed permit, was {reasons}"
        )


async def _refuses_while_red(rig: Rig, trigger: Trigger) -> None:
    """Ask for a resume: refused, and the refusal says that this is still red."""

    async def is_refused() -> bool:
        try:
            offer = await rig.offer()
        except OperationRefused as e:
            refusal = str(e)
        else:
            raise AssertionError(f"a refused resume while red, was granted: {offer.answer}")
        assert trigger.text in refusal, f"{trigger.text!r} in the refusal, was: {refusal}"
        return True

    await rig.until(is_refused, f"{trigger.name}: a refusal", 5, poll_s=0.2)


async def _relieve(module: ModuleType, rig: Rig) -> None:
    if hasattr(module, "relieve"):
        await module.relieve(rig)
    else:
        await rig.widen()


async def _put_right(rig: Rig) -> None:
    """Leave a running gate to the next one, whatever happened here."""
    await rig.reset()
    with contextlib.suppress(AssertionError, BusError):
        said = await rig.status("executor")
        if said.state == "running":
            return
    # A failed round: start the guard with wide limits, and lift whatever halted.
    await rig.guard()
    with contextlib.suppress(AssertionError):
        await rig.until_running()
        return
    await rig.resume()
    await rig.until_running()


async def _limits(module: ModuleType, rig: Rig) -> Mapping[str, object]:
    if hasattr(module, "limits"):
        with contextlib.suppress(BusError):
            rig.standing = await rig.ask("riskguard", "limits")
        found: Mapping[str, object] = await module.limits(rig)
        return found
    return dict(getattr(module, "LIMITS", {}))


async def _step(module: ModuleType, name: str, rig: Rig) -> None:
    step: Any = getattr(module, name, None)
    if step is not None:
        await step(rig)


def _texts(seen: list[Seen]) -> str:
    return "; ".join(f"{one.what.trigger} ({one.what.reason})" for one in seen)


__all__ = ["BOUND_MS", "PATIENCE_S", "Round", "perform", "provocation_of"]
