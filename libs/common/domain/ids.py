"""Identifiers: who a thing belongs to, readable from the id itself.

Run and decision ids follow requirements C-025 and C-026. The client order id
carries environment, epoch and batch place (design rule 4), so that ownership is
provable after any crash, and is deterministic: the same intent has the same id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NewType

MarketId = NewType("MarketId", str)
EventId = NewType("EventId", str)
OrderId = NewType("OrderId", str)
ClientOrderId = NewType("ClientOrderId", str)
RunId = NewType("RunId", str)
DecisionId = NewType("DecisionId", str)

CLIENT_ORDER_ID_LENGTH_MAX = 64
_OURS = re.compile(r"dora-([a-z]{3,5})-([0-9]+)-([0-9]+)-([0-9]+)-([0-9a-f]{8})")


def run_id(started_ns: int, suffix: str) -> RunId:
    """Return ``YYYYMMDD-HHMMSS-suffix`` for a wall-clock start in nanoseconds (C-025)."""
    started = datetime.fromtimestamp(started_ns // 1_000_000_000, UTC)
    return RunId(f"{started:%Y%m%d-%H%M%S}-{suffix}")


def decision_id(run: str, market: str, number: int) -> DecisionId:
    """Return ``run:market:number`` (C-026)."""
    return DecisionId(f"{run}:{market}:{number}")


@dataclass(frozen=True, slots=True)
class OrderIdentity:
    """What a client order id of ours says: environment, epoch, batch, place, digest."""

    env: str
    epoch: int
    batch: int
    index: int
    digest: str

    def text(self) -> ClientOrderId:
        """Return the id on the wire, at most 64 characters of letters, digits and dashes."""
        text = f"dora-{self.env}-{self.epoch}-{self.batch}-{self.index}-{self.digest}"
        assert len(text) <= CLIENT_ORDER_ID_LENGTH_MAX, text
        return ClientOrderId(text)


def parse_client_order_id(text: str) -> OrderIdentity | None:
    """Return the identity if the id is one of ours, else None: a foreign order."""
    match = _OURS.fullmatch(text)
    if match is None:
        return None
    return OrderIdentity(match[1], int(match[2]), int(match[3]), int(match[4]), match[5])
