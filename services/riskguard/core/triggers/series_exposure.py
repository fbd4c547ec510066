"""More can be lost in one series than may be (A-024, A-031)."""

from __future__ import annotations

from services.riskguard.core.triggers.exposure_limit import ExposureLimit


def series_exposure() -> ExposureLimit:
    """Return the rule."""
    return ExposureLimit(
        "series_exposure",
        "the worst case of a series passed its limit",
        lambda view: view.money.series_exposure_e6,
        lambda limits: limits.money.series_exposure_e6,
    )
