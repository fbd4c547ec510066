"""How the feed is believed, estimated from and published, as the operator may set it."""

from __future__ import annotations

import msgspec

from services.marketdata.core.conflate import ConflationRules
from services.marketdata.core.whale import WhaleRules


class FeedRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the feed is believed, estimated from and published."""

    silence_ms: int = 5_000
    """Nothing heard for so long makes every book stale."""
    crossed_ms: int = 1_000
    """A book crossed for so long, in exchange time, contradicts itself."""
    resync_ms: int = 1_000
    """Least time between two requests for a snapshot of one market."""
    status_ms: int = 2_000
    """A market's status is sent again after this time."""
    settled_keep_ms: int = 600_000
    """A settled market's status goes on being sent for so long."""
    tau_ms: int = 30_000
    """Time constant of the estimators."""
    whale: WhaleRules = WhaleRules()
    conflation: ConflationRules = ConflationRules()
