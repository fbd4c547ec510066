"""The settings of the Dora maker, beyond those that every strategy has.

Units: gammas are per dollar of a contract's payout (so per contract), times in
seconds of the exchange, widths in ticks or log-odds as named. Nothing is in
cents: grids run from 0.0001 to 0.01 dollar.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from services.strategy.core.settings import MarketSettings, Ms, NotNegative, Positive, Share


class SignalSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far one outside source is believed; the book's own weight is 1."""

    weight: NotNegative
    half_life_ms: Positive = 5_000.0
    age_ms_max: Ms = 60_000


class MakerSettings(MarketSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Dora maker."""

    weighted_mid_weight: Share = 0.5
    micro_weight: Share = 1.0
    signals: dict[str, SignalSource] = msgspec.field(default_factory=dict)
    is_exhaustive: bool = False
    """The outcomes of the event cover everything: their probabilities sum to exactly one."""
    longshot_alpha: float = 0.0
    longshot_beta: Positive = 1.0

    gamma: NotNegative = 0.002
    """Risk aversion behind the inventory skew; ln 2 / gamma is the loss it is willing to bear, in dollars."""
    holding_s: Positive = 60.0
    """For how long a contract is expected to be held."""
    variance_prior: NotNegative = 0.1
    """Least variance, as a part of what must still happen before the close: p (1 - p) / time left."""
    early_close_per_hour: NotNegative = 0.0
    """Hazard of an early close; shortens the time that is counted on."""

    width_gamma: Positive = 0.01
    width_k: Positive = 100.0
    """Decay of fills with distance in log-odds: larger is a more competitive market."""
    alpha: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.005
    """Share of informed arrivals (Glosten and Milgrom)."""
    taker_exit_share: Share = 0.0
    """Part of the exits that has to take."""
    half_width_ticks_min: NotNegative = 0.5
    """Half a tick each side is one tick of spread."""
    age_widen_per_s: NotNegative = 0.0
    """Widening per second since the book last changed; 0: none."""
    age_widen_max: NotNegative = 1.0
