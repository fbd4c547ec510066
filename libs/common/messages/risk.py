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
    """Realised plus settled minus fees plus the change of the liquidation value since the day began: what the
    loss limit looks at."""
    as_of_ns: int
    unrealised_settlement_e6: int = 0
    """Of what is determined and not paid yet."""
    unrealised_open_e6: int = 0
    """Of what was held when the day began, at its worth then."""


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
    """``ctl.limit``: lowering acts like a halt, raising like a resume.

    Without a nonce it can only tighten: where ``value`` would loosen the limit it changes
    nothing. With one it is a raise, judged like a resume: it names the newest change before
    it (``after``), has an end (``until_ms``), and goes up to the configuration at most.
    """

    scope: str
    """The account."""
    name: str
    """A limit of riskguard or executor; nested ones dotted, ``money.balance_drop_e6``."""
    value: int
    by: str
    reason: str
    until_ms: int | None = None
    """Unix; the change is gone from then on, whatever it was."""
    nonce: str = ""
    env: str = ""
    after: int = 0
    """Stream sequence of the newest ``ctl.limit`` when the raise was offered, 0 if there was none."""
    expires_ms: int = 0
    config_hash: str = ""
    signatures: tuple[str, ...] = ()


class AuditRiskV1(Wire, frozen=True, kw_only=True):
    """``audit.risk``: a trigger fired or cleared, a permit opened or closed."""

    event_type: str
    account: str
    trigger: str
    reason: str
    limit: int = 0
    was: int = 0
    event_ns: int


class OpenMarkV1(Wire, frozen=True, kw_only=True):
    """What closing one contract of a market would have paid when the day began, either way."""

    market: str
    long_e4: int | None
    short_e4: int | None
    is_first_seen: bool
    """Seen later in the day, because nobody looked when it began: cost counts where that is more."""


class ShardStateV1(Wire, frozen=True, kw_only=True):
    """One shard's balance as far as our own books do not explain it, and its baselines."""

    shard: int
    unexplained_e6: int
    """Cash minus what fills and settlements made: what was there before, and what was moved."""
    opening_e6: int
    """The same when the day began, moved money followed."""
    high_e6: int
    """Highest equity of the day, moved money followed."""


class RiskStateV1(Wire, frozen=True, kw_only=True):
    """``risk.state``: what the riskguard must not forget within a day; the newest one counts."""

    account: str
    day_ms: int
    """When the trading day began; a state of another day is not used."""
    high_water_e6: int
    """Best result of the day."""
    open_marks: tuple[OpenMarkV1, ...]
    """Of every market held when the day began."""
    shards: tuple[ShardStateV1, ...]
    total_high_e6: int | None
    """Highest equity of all shards together, None until a balance was read."""
    moves_since_ms: int
    """Moves of money from before this exchange time were in the first balance already."""
    moves_used: tuple[str, ...]
    """Moves of money that are in the baselines already."""
    as_of_ns: int


class DriftV1(Wire, frozen=True, kw_only=True):
    """One disagreement, with what each witness said and who stands alone."""

    kind: str
    """``orders_only_local``, ``orders_only_exchange``, ``order``, ``position``, ``cash``, ``fill`` or
    ``foreign_order``."""
    market: str
    key: str
    executor_says: str
    drop_copy_says: str
    listing_says: str
    odd_one_out: str
    """``executor``, ``drop_copy``, ``listing`` or empty when no two agree."""
    action: str
    """``alert``, ``adopt``, ``cancel``, ``close``, ``halt``, by the policy table."""


class OrphanV1(Wire, frozen=True, kw_only=True):
    """What the venue has and the executor does not know (D-026): an order, or a position without one."""

    ticker: str
    side: str
    """``bid`` or ``ask`` of an order; ``yes`` or ``no`` of a position."""
    size_e2: int
    """Contracts, always positive."""
    avg_price_e4: int
    """An order's price; of a position what a contract cost, 0 where the venue did not say."""
    order_id: str = ""
    """Empty for a position."""


class OrphanedOrderV1(Wire, frozen=True, kw_only=True):
    """``audit.recon``: one row of the table ``orphaned_orders`` (D-145); the newest of an id holds."""

    id: str
    user_id: str
    """Who resolved it, empty while open."""
    account: str
    ticker: str
    order_id: str
    """Empty for a position."""
    side: str
    size_e2: int
    price_e4: int
    detected_ms: int
    is_ours: bool
    """Whether it carries our prefix."""
    resolved: bool = False
    resolution_action: str = ""
    """``MANUAL_CLOSE``, ``AUTO_CLOSE`` or ``FALSE_POSITIVE``."""
    reason: str = ""
    resolved_ms: int = 0


class OrphanAskV1(Wire, frozen=True, kw_only=True):
    """Body of ``svc.reconciler.resolve``: what a person decided about an orphan."""

    id: str
    action: str
    by: str
    reason: str


class ReconResultV1(Wire, frozen=True, kw_only=True):
    """``recon.clear`` and ``recon.drift`` (requirements D-020 to D-036)."""

    account: str
    cycle: int
    epoch: int
    reason: str
    """Why it ran: ``start``, ``timer``, ``anomaly``, ``confirm``, ``request``, ``shutdown``."""
    orphaned_detected: int
    ghost_detected: int
    reconciled: int
    errors: tuple[str, ...]
    drifts: tuple[DriftV1, ...]
    position_residual_e2: int
    cash_residual_e6: int
    took_ms: int
    as_of_ns: int
    orphans: tuple[OrphanV1, ...] = ()
    """One entry for each orphan among the drifts."""
    shard_residuals_e6: tuple[tuple[int, int], ...] = ()
    """Shard and the money that is unexplained there; -2 stands for all where they cannot be told apart."""
