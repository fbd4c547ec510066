"""Perform a flattening: cancel, list until empty, then one exit after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from libs.common.kalshi.rest import VenueReader
from libs.common.messages.orders import ConfirmationV1, FlattenAskV1, FlattenReportV1, PlaceAskV1
from libs.common.runtime.errors import VenueError
from services.executor.core.account import Now
from services.executor.core.effects import Effect, Log, SendCancels
from services.executor.core.engine import Engine
from services.executor.core.flatten import FlattenRules, FlattenRun, holdings, refusals
from services.executor.core.recovery import Recovery

_AGAIN_S = 0.1
_CAP_RULE = "flatten_cost"


class Flattening:
    """The shell of `core/flatten.py`.

    Args:
        engine: Whose positions.
        reader: Lists what rests.
        rules: From the configuration; nothing is allowed by default.
        env: Which orders are ours.
        now: The clocks.
        perform: Performs effects.
        place: Places one exit and returns its confirmation.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        reader: VenueReader,
        rules: FlattenRules,
        env: str,
        now: Callable[[], Now],
        perform: Callable[[list[Effect]], None],
        place: Callable[[PlaceAskV1], Awaitable[ConfirmationV1]],
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._rules = rules
        self._ours = Recovery(env)
        self._now = now
        self._perform = perform
        self._place = place

    async def flatten(self, ask: FlattenAskV1) -> FlattenReportV1:
        """Do it, or only say what it would do, and return the report."""
        account, began = self._engine.account, self._now()
        run = FlattenRun(ask, self._rules, account.name, began.ns)
        refused = refusals(ask, self._rules, account, began, self._engine.direct.earlier)
        if ask.is_dry_run or refused:
            found = holdings(account, began)
            if ask.is_dry_run:
                run.rehearse(found)
            return run.report(found, began.ns, refused)
        account.gate.is_flattening = True
        try:
            await self._do(run)
        finally:
            account.gate.is_flattening = False
            account.dirty |= account.targets.markets()
        now = self._now()
        report = run.report(holdings(account, now), now.ns)
        self._tell(run, report, now)
        return report

    async def _do(self, run: FlattenRun) -> None:
        engine, now = self._engine, self._now()
        effects = engine.cancel_everything(now)
        run.cancelled = sum(len(one.cancels) for one in effects if isinstance(one, SendCancels))
        asked = engine.account.audit(
            "FLATTEN", now, market="", reason=run.ask.reason, status="begun", by=run.ask.by
        )
        self._perform([*effects, asked])
        await self._until_empty(run)
        while (planned := run.next(holdings(engine.account, self._now()), self._now().ns)) is not None:
            run.on_confirmed(planned, await self._place(run.place(planned)))

    async def _until_empty(self, run: FlattenRun) -> None:
        engine = self._engine
        while True:
            await asyncio.sleep(_AGAIN_S)
            began = self._now()
            is_quiet = engine.quoter.batches_open == 0 and not any(engine.account.orders.live())
            try:
                resting = await self._reader.orders(status="resting")
            except VenueError as e:
                self._perform([Log("VENUE_ERROR", f"flatten not verified: {e}", level="WARNING")])
                if not run.on_listing(-1, is_quiet=False, now_ns=self._now().ns):
                    return
                continue
            now = self._now()
            self._perform(engine.intake.on_listing(resting, began.ns, now))
            ours = self._ours.ours(resting)
            if not run.on_listing(len(ours), is_quiet=is_quiet, now_ns=now.ns):
                return
            # A listing lags: what it still shows is cancelled again only if we think that it rests.
            self._perform(engine.cancel_everything(now))

    def _tell(self, run: FlattenRun, report: FlattenReportV1, now: Now) -> None:
        status = "flat" if report.is_flat else "stopped" if report.stopped else "left"
        fields = {
            "status": status,
            "cost_e6": report.cost_e6,
            "cost_e6_max": report.cost_e6_max,
            "exits": len(report.slices),
            "left": {one.market: one.reason for one in report.left},
            "reason": report.stopped,
            "by": run.ask.by,
        }
        audit = self._engine.account.audit(
            "FLATTEN",
            now,
            market="",
            reason=report.stopped or run.ask.reason,
            status=status,
            rule=(_CAP_RULE, report.cost_e6_max, report.cost_e6),
            latency_us=report.took_ms * 1_000,
            by=run.ask.by,
        )
        self._perform([audit, Log("FLATTEN", level="WARNING", fields=fields)])
