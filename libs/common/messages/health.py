"""Heartbeats and the answers of the endpoints that all services share."""

from __future__ import annotations

from libs.common.messages.base import Wire


class BeatV1(Wire, frozen=True, kw_only=True):
    """``health.beat.<service>.<instance>``, twice a second; the sender must hear its own within 1.5 s."""

    service: str
    instance: str
    run: str
    counter: int
    is_ready: bool
    build: str = ""
    config_hash: str = ""
    sent_ms: int | None = None
    """The sender's wall clock; whoever hears it compares clocks, never ages."""
    loop_lag_ms: int | None = None
    """How late the sender's event loop was at worst since its last beat."""


class StatusV1(Wire, frozen=True, kw_only=True):
    """Answer of ``svc.<service>.status``: counters and gauges by metric name without labels."""

    service: str
    instance: str
    run: str
    env: str
    version: str
    account: str
    config_hash: str
    uptime_s: int
    is_ready: bool
    state: str
    """The core's word: ``running``, ``halted``, ``starting`` and the like."""
    reasons: tuple[str, ...]
    """Why it is not ready or not running; empty when it is."""
    counters: dict[str, int]
    gauges: dict[str, float]
    rss_mb: float
