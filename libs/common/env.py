"""The four environments: which venue, which money.

The word names the subject root and everything stored, so that nothing of one
environment can be read in another (design section 3).
"""

from __future__ import annotations

import enum


class Env(enum.StrEnum):
    """``sim`` needs no credentials and is the default; only ``live`` risks money."""

    SIM = "sim"
    PAPER = "paper"
    DEMO = "demo"
    LIVE = "live"
