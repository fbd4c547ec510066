"""What the triggers of this area see at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthView:
    """See the package."""
