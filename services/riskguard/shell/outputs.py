"""What the riskguard says on the bus: its permit twice a second, exposure and result each second."""

from __future__ import annotations

from libs.common.bus.api import Bus
from libs.common.control.ramp import FULL_E4
from libs.common.messages.base import encode
from libs.common.messages.control import PermitV1
from libs.common.messages.risk import ExposureV1, PnlV1, ScaleV1
from libs.common.runtime.clock import Clock
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects
from services.riskguard.core.core import RiskguardCore


class Outputs:
    """The regular words."""

    def __init__(  # noqa: PLR0917 - wired in one place
        self, core: RiskguardCore, bus: Bus, subjects: Subjects, clock: Clock, log: EventLog, boot: str
    ) -> None:
        self._core = core
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._log = log
        self._boot = boot
        self._count = 0
        self.was_open: bool | None = None
        self.stopping = ""

    async def permit(self) -> None:
        """Publish the permit.

        Raises:
            BusUnavailable: Not connected; the last one ages out.
        """
        core = self._core
        is_open, reasons = core.permit(self._clock.mono_ns())
        if self.stopping:
            is_open, reasons = False, (f"stopping: {self.stopping}", *reasons)
        if is_open != self.was_open:
            self.was_open = is_open
            event, level = ("PERMIT_OPENED", "INFO") if is_open else ("PERMIT_CLOSED", "WARNING")
            self._log.event(event, "; ".join(reasons), level=level)
        self._count += 1
        now_ms = self._clock.now_ns() // 1_000_000
        permit = PermitV1(
            issuer="riskguard",
            boot=self._boot,
            counter=self._count,
            account=core.account_id,
            is_open=is_open,
            reasons=reasons,
            epoch=0 if core.leader.epoch is None else core.leader.epoch.number,
            halt_sequence=core.latches.state().halt_sequence,
            scale_e4=core.scale_e4(now_ms),
            sent_ms=now_ms,
            limits_hash=core.changes.fold.hash(),
            exits_open=not self.stopping and core.exits_open(self._clock.mono_ns()),
        )
        await self._bus.publish(self._subjects.of("permit.risk", core.account_id), encode(permit))

    async def withdraw(self, reason: str) -> None:
        """Publish a closed permit, whatever the core would say.

        Raises:
            BusUnavailable: Not connected; the last one ages out.
        """
        self.stopping = reason
        self._count += 1
        permit = PermitV1(
            issuer="riskguard",
            boot=self._boot,
            counter=self._count,
            account=self._core.account_id,
            is_open=False,
            reasons=(reason,),
            sent_ms=self._clock.now_ns() // 1_000_000,
        )
        await self._bus.publish(self._subjects.of("permit.risk", self._core.account_id), encode(permit))

    async def figures(self) -> None:
        """Publish exposure, result and size factor of the account, and exposure of each event at risk.

        Raises:
            BusUnavailable: Not connected.
        """
        core, standing = self._core, self._core.standing
        account, now_ns = core.account_id, self._clock.now_ns()
        exposures = [(account, standing.exposures.account_e6, core.limits.account_exposure_e6)]
        exposures += [
            (event, worst_e6, core.limits.event_exposure_e6)
            for event, worst_e6 in standing.exposures.events.items()
            if worst_e6
        ]
        for scope, worst_e6, limit_e6 in exposures:
            message = ExposureV1(scope=scope, exposure_e6=worst_e6, limit_e6=limit_e6, as_of_ns=now_ns)
            await self._bus.publish(self._subjects.of("risk.exposure", scope), encode(message))
        result = standing.result
        pnl = PnlV1(
            scope=account,
            realised_e6=result.realised_e6,
            fees_e6=result.fees_e6,
            settled_e6=result.settled_e6,
            unrealised_liquidation_e6=result.unrealised_liquidation_e6,
            unrealised_mid_e6=result.unrealised_mid_e6,
            day_e6=result.day_e6,
            as_of_ns=now_ns,
            unrealised_settlement_e6=result.unrealised_settlement_e6,
            unrealised_open_e6=result.unrealised_open_e6,
        )
        await self._bus.publish(self._subjects.of("risk.pnl", account), encode(pnl))
        scale_e4 = core.scale_e4(now_ns // 1_000_000)
        why = "ramp after a resume" if scale_e4 < FULL_E4 else ""
        scale = ScaleV1(scope=account, scale_e4=scale_e4, reason=why)
        await self._bus.publish(self._subjects.of("risk.scale", account), encode(scale))
