"""What the riskguard answers about its controls: each rule, what it compares with, who owns it."""

from __future__ import annotations

from libs.common.messages.base import Wire


class ControlV1(Wire, frozen=True, kw_only=True):
    """One rule of the riskguard."""

    name: str
    kind: str
    """``latches``: halts, and only a resume lifts that. ``pauses``: closes the permit and opens it again."""
    text: str
    limits: dict[str, int]
    """What it compares with, by the dotted name of the configuration; empty where it knows no number."""
    is_red: bool


class ControlsV1(Wire, frozen=True, kw_only=True):
    """``svc.riskguard.controls``."""

    account: str
    controls: tuple[ControlV1, ...]
    owner: str
    """Who answers for a control that names nobody else."""
    owners: dict[str, str]
    """Others, by trigger, or ``gate.`` and the name of a rule of the executor's gate."""
