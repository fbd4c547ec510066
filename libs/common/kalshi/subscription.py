"""One channel of a feed session: its id on this connection, its count, and its markets.

Sequence numbers count per subscription over all its markets, replies included
(kalshi-api 23.5). A number that is not the next one means that something was
lost, and nobody can say of which market, so all of them are suspect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

ORDERBOOK: Final = "orderbook_delta"
TRADE: Final = "trade"

FILTERED: Final = frozenset({ORDERBOOK, TRADE, "ticker"})
"""Channels subscribed with the session's markets; the others hear everything that is theirs."""

SEQUENCED: Final = frozenset(
    {
        ORDERBOOK,
        TRADE,
        "market_lifecycle_v2",
        "multivariate_market_lifecycle",
        "communications",
        "order_group_updates",
    }
)

HEALING: Final = frozenset({ORDERBOOK, TRADE, "ticker"})
"""Channels that are whole again after subscribing anew. A loss on any other ends the session, because
only the consumer's own reconciliation over REST can tell what was missed."""


@dataclass(slots=True)
class Subscription:
    """A channel's state on the present connection."""

    channel: str
    markets: dict[str, None] = field(default_factory=dict)
    """Wanted, in order of wish."""
    told: set[str] = field(default_factory=set)
    """Asked for on the present sid."""
    live: set[str] = field(default_factory=set)
    """Book channel: a snapshot has come, deltas apply."""
    sid: int | None = None
    last_seq: int = 0
    is_asking: bool = False
    """A subscribe or unsubscribe is unanswered."""
    asked_ns: int | None = None
    """When snapshots were last asked for."""

    @property
    def is_filtered(self) -> bool:
        """Return whether the channel takes a list of markets."""
        return self.channel in FILTERED

    @property
    def is_sequenced(self) -> bool:
        """Return whether the channel's messages are numbered."""
        return self.channel in SEQUENCED

    @property
    def awaits(self) -> list[str]:
        """Return the markets that were asked for and whose snapshot has not come."""
        return [m for m in self.markets if m in self.told and m not in self.live]

    def begin(self, sid: int) -> None:
        """Start counting on a new sid."""
        self.sid = sid
        self.last_seq = 0
        self.live.clear()
        self.is_asking = False
        self.asked_ns = None

    def end(self) -> None:
        """Forget the sid; what it told is history."""
        self.sid = None
        self.last_seq = 0
        self.told.clear()
        self.live.clear()
        self.is_asking = False
