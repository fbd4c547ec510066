"""Write what happens to the private feed under the names of our event table."""

from __future__ import annotations

from typing import Any, Final

from libs.common.runtime.log import EventLog

_NAMES: Final = {"feed_connected": "FEED_CONNECTED", "feed_closed": "FEED_DISCONNECTED"}


class FeedNotes:
    """Adapts the feed's notes to the log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def event(self, event_type: str, message: str = "", *, level: str = "INFO", **fields: Any) -> None:
        """Note one event."""
        self._log.event(_NAMES.get(event_type, event_type), message, level=level, **fields)
