"""Whether what the venue does with our orders is heard: by the private feed, or by reads in its place.

The feed has no sequence numbers for orders and fills (kalshi-api 23.5), so being connected proves
nothing: it is whole from a comparison of everything that began after the subscription, and for as
long as it speaks, which it does every second because the session asks. While it is not whole,
everything is compared every second; where neither speaks, nothing that opens risk may leave.
The permits of riskguard and reconciler stand on feeds of their own and prove nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_S: Final = 1_000_000_000


@dataclass(slots=True)
class Hearing:
    """What was heard last, and how.

    Attributes:
        silent_ns_max: A feed that says nothing, or a comparison that is older, proves nothing any more.
    """

    silent_ns_max: int = 3 * _S
    _subscribed_ns: int | None = None
    _heard_ns: int = 0
    _compared_ns: int | None = None

    def subscribed(self, now_ns: int) -> None:
        """Every channel of the feed is subscribed: what comes from now on is heard."""
        self._subscribed_ns = self._heard_ns = now_ns

    def heard(self, now_ns: int) -> None:
        """The feed said something."""
        self._heard_ns = now_ns

    def closed(self, now_ns: int) -> None:
        """The feed is gone: all was known up to its last word, what it may have missed begins there."""
        if self.is_whole(now_ns):
            self.compared(self._heard_ns)
        self._subscribed_ns = None

    def compared(self, began_ns: int) -> None:
        """A comparison of everything that began at this time was taken in whole."""
        self._compared_ns = max(began_ns, self._compared_ns or 0)

    def is_whole(self, now_ns: int) -> bool:
        """Return whether the feed tells everything: subscribed, caught up and speaking."""
        if self._subscribed_ns is None or self._compared_ns is None:
            return False
        return self._compared_ns >= self._subscribed_ns and now_ns - self._heard_ns <= self.silent_ns_max

    def reasons(self, now_ns: int) -> list[str]:
        """Return why nothing that opens risk may leave; empty is open."""
        if self.is_whole(now_ns):
            return []
        if self._compared_ns is not None and now_ns - self._compared_ns <= self.silent_ns_max:
            return []
        return ["venue_unheard"]
