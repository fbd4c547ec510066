"""Up to which exchange time the venue has spoken, and whether it has fallen silent.

A socket that is open proves nothing (design rule 10): what counts is the newest
exchange stamp received in order. Silence is measured by the receiver's
monotonic clock from the last such word, so neither a stepped wall clock nor a
skew to the exchange's makes a dead feed look alive.
"""

from __future__ import annotations


class Freshness:
    """The feed as a whole."""

    __slots__ = ("_heard_ns", "_is_open", "_silence_ns", "as_of_ms")

    def __init__(self, silence_ms: int) -> None:
        self._silence_ns = silence_ms * 1_000_000
        self._heard_ns = 0
        self._is_open = False
        self.as_of_ms = 0
        """Newest exchange stamp heard in order; never goes back."""

    def heard(self, as_of_ms: int, mono_ns: int) -> None:
        """Take a word of the venue in order."""
        self._heard_ns = mono_ns
        self._is_open = True
        self.as_of_ms = max(self.as_of_ms, as_of_ms)

    def closed(self) -> None:
        """Take the end of the connection: silence begins now."""
        self._is_open = False

    def is_silent(self, mono_ns: int) -> bool:
        """Return whether nothing was heard for too long, or ever."""
        return not self._is_open or mono_ns - self._heard_ns > self._silence_ns
