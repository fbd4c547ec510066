"""What tests on a real bus share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from libs.common.bus.nats import NatsBus
from libs.common.env import Env

Connect = Callable[..., Awaitable[NatsBus]]
"""``await connect(name="executor")``: a bus on the test's server, drained at its end."""

ENV = Env.SIM
