"""What riskguard and reconciler say about exposure, result and agreement."""

from __future__ import annotations

from libs.common.messages.base import Wire


class ExposureV1(Wire, frozen=True, kw_only=True):
    """``risk.exposure``: worst-case loss of a scope with everything resting and unknown filled."""

    scope: str
    exposure_e6: int
    limit_e6: int
    as_of_ns: int


class PnlV1(Wire, frozen=True, kw_only=True):
    """``risk.pnl``: result since the day's start; the three marks are kept apart."""

    scope: str
    realised_e6: int
    fees_e6: int
    settled_e6: int
    unrealised_liquidation_e6: int
    """At the price where it could be closed now."""
    unrealised_mid_e6: int
    day_e6: int
    """Realised plus settled minus fees plus liquidation value: what the loss limit looks at."""
    as_of_ns: int


class ScaleV1(Wire, frozen=True, kw_only=True):
    """``risk.scale``: size factor in ten-thousandths (D-082)."""

    scope: str
    scale_e4: int
    reason: str


class ModeV1(Wire, frozen=True, kw_only=True):
    """``ctl.mode``."""

    scope: str
    mode: str
    by: str
    reason: str


class LimitV1(Wire, frozen=True, kw_only=True):
    """``ctl.limit``: lowering acts like a halt, raising like a resume."""

    scope: str
    name: str
    value: int
    by: str
    reason: str
    until_ms: int | None = None


class AuditRiskV1(Wire, frozen=True, kw_only=True):
    """``audit.risk``: a trigger fired or cleared, a permit opened or closed."""

    event_type: str
    account: str
    trigger: str
    reason: str
    limit: int = 0
    was: int = 0
    event_ns: int


class DriftV1(Wire, frozen=True, kw_only=True):
    """One disagreement, with what each witness said and who stands alone."""

    kind: str
    """``orders_only_local``, ``orders_only_exchange``, ``position``, ``cash``, ``fill`` or
    ``foreign_order``."""
    market: str
    key: str
    executor_says: str
    drop_copy_says: str
    listing_says: str
    odd_one_out: str
    """``executor``, ``drop_copy``, ``listing`` or empty when no two agree."""
    action: str
    """``alert``, ``adopt``, ``cancel``, ``halt``, by the policy table."""


class ReconResultV1(Wire, frozen=True, kw_only=True):
    """``recon.clear``, ``recon.drift``, ``audit.recon`` (requirements D-020 to D-036)."""

    account: str
    cycle: int
    epoch: int
    reason: str
    """Why it ran: ``start``, ``timer``, ``anomaly``, ``request``, ``shutdown``."""
    orphaned_detected: int
    ghost_detected: int
    reconciled: int
    errors: tuple[str, ...]
    drifts: tuple[DriftV1, ...]
    position_residual_e2: int
    cash_residual_e6: int
    took_ms: int
    as_of_ns: int
