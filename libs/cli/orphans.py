"""`dora orphans`: the register of orphans, read from AUDIT, and a person's decision about one of them.

The list works when the reconciler is dead; a resolution is its to store. Neither
touches an order: what to do at the venue is done there, or by `dora flatten`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich.table import Table

from libs.cli.operate import OperationRefused
from libs.cli.tables import Row
from libs.common.bus.api import Bus
from libs.common.messages.base import encode
from libs.common.messages.risk import OrphanAskV1, OrphanedOrderV1
from libs.common.subjects import Subjects

ACTIONS: Final = ("MANUAL_CLOSE", "AUTO_CLOSE", "FALSE_POSITIVE")
_COLUMNS: Final = ("id", "ticker", "side", "size", "price", "detected_at", "resolution_action", "user_id")
_ANSWER_S: Final = 5.0


async def resolve(bus: Bus, subjects: Subjects, ask: OrphanAskV1) -> OrphanedOrderV1:
    """Store what a person decided and return the row.

    Raises:
        OperationRefused: The reconciler said no.
        BusError: The reconciler did not answer.
    """
    subject = subjects.of("svc", "reconciler", "resolve")
    message = await bus.request(subject, encode(ask), timeout_s=_ANSWER_S)
    try:
        answer = msgspec.json.decode(message.data, type=dict[str, Any])
        if "error" in answer:
            raise OperationRefused(str(answer["error"]))
        return msgspec.convert(answer, OrphanedOrderV1)
    except msgspec.MsgspecError:
        raise OperationRefused(f"an answer that cannot be read: {message.data[:200]!r}") from None


def table(rows: Sequence[Row]) -> Table:
    """Return the register for a terminal."""
    found = Table(header_style="bold", title="orphans", title_justify="left")
    for name in _COLUMNS:
        found.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        found.add_row(*(str(row[name] or "") for name in _COLUMNS))
    return found
