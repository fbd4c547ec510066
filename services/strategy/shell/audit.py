"""Carries changed decisions to the audit stream in batches, never in the way of a quote.

A slow or absent stream costs records, and says so (`dropped`), but no quote:
the audit explains decisions, it does not permit them.
"""

from __future__ import annotations

import asyncio
from typing import Final

from libs.common.bus.api import AppendRefused, BusUnavailable, OutcomeUnknown
from libs.common.messages.base import encode
from libs.common.messages.target import DecisionBatchV1, TargetV1
from libs.common.runtime.app import Runtime
from services.strategy.config import Config

_BATCH_MAX: Final = 200
"""Targets in one append: a few hundred kilobytes, under the server's limit of one megabyte."""


class DecisionAudit:
    """A bounded list of decisions on their way to ``audit.decision.<instance>``."""

    def __init__(self, runtime: Runtime[Config]) -> None:
        self._runtime = runtime
        self._subject = runtime.subjects.of("audit.decision", runtime.instance)
        self._waiting: list[TargetV1] = []
        self._number = 0
        self.appended = 0
        self.dropped = 0

    def add(self, target: TargetV1) -> None:
        """Take a decision; when too many wait, the new one is dropped and counted."""
        if len(self._waiting) >= self._runtime.config.audit_waiting_max:
            self.dropped += 1
        else:
            self._waiting.append(target)

    async def run(self) -> None:
        """Append what waits, again and again."""
        while True:
            await asyncio.sleep(self._runtime.config.audit_ms / 1_000)
            await self.flush()

    async def flush(self) -> None:
        """Append what waits now; what the stream refuses is dropped."""
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH_MAX], self._waiting[_BATCH_MAX:]
            self._number += 1
            message = DecisionBatchV1(
                instance=self._runtime.instance, run=self._runtime.run, targets=tuple(batch)
            )
            msg_id = f"decision-{self._runtime.instance}-{self._runtime.run}-{self._number}"
            try:
                await self._runtime.bus.append(self._subject, encode(message), msg_id=msg_id)
            except (AppendRefused, BusUnavailable, OutcomeUnknown) as e:
                self.dropped += len(batch)
                self._runtime.log.once(
                    "audit",
                    "ERROR",
                    "decisions did not reach the audit",
                    reason=str(e),
                    count_dropped=self.dropped,
                )
            else:
                self.appended += len(batch)
