"""We talk to the venue faster than any quoting needs; a person starts it again (RTS 6, article 15)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class MessageRate:
    """We talk to the venue faster than any quoting needs; a person starts it again (RTS 6, article 15)."""

    name: str = "message_rate"
    text: str = "too many messages to the venue within a minute"
    is_latching: bool = True

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        was, limit = view.conduct.messages_last_minute, limits.conduct.messages_per_minute
        if was <= limit:
            return None
        return Fired(self.name, f"{self.text}: {was}, limit {limit}", limit, was, self.is_latching)
