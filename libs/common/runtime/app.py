"""What a service's wiring hands to the runner, and what the runner hands to it.

`runner.py` owns the process: configuration, logs, bus connection, heartbeat and
own echo, metrics, the shared endpoints, signals and exit codes. The service
owns everything else and shows it as an :class:`App`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from libs.common.bus.api import Bus, Handler
from libs.common.env import Env
from libs.common.observability.metrics import Metrics
from libs.common.runtime.clock import Clock
from libs.common.runtime.config import Common
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Runtime(Generic[C]):
    """Everything a service gets from the process it runs in."""

    service: str
    instance: str
    run: str
    env: Env
    config: C
    common: Common
    config_hash: str
    build: str
    bus: Bus
    subjects: Subjects
    clock: Clock
    log: EventLog
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class AppStatus:
    """The core's word about itself; becomes `StatusV1`, `/readyz` and the heartbeat."""

    is_ready: bool
    state: str
    reasons: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)


class App(Protocol):
    """A service after wiring."""

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return the service's own endpoints beside ``status``, ``config`` and ``log_level``."""
        ...

    async def run(self) -> None:
        """Work until cancelled. Returning or raising ends the process with a failure."""
        ...

    async def stop(self, reason: str) -> None:
        """Shut down in order while the bus is still connected (SIGTERM): called before `run` is cancelled."""
        ...

    def status(self) -> AppStatus:
        """Return the present state; called from the event loop, must not block."""
        ...
