"""What this area may come to: no field has a default, and zero means zero."""

from __future__ import annotations

import msgspec


class MoneyLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See the package."""
