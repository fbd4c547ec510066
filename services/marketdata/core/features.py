"""What a decision needs to know of a market's recent past, estimated from its touch and trades.

All estimators decay in exchange time, so a replay gives the same numbers as
the live feed. Floats live here and leave only through a price grid.

*Variance*: each move of the mid adds its square to a sum that forgets with time
constant ``tau``; divided by ``tau`` it is a rate (E4 squared per second), and by
``1 - exp(-age / tau)`` it is unbiased while young. *Micro-price*: mid plus the
expected next move of the mid given imbalance and spread, learnt per market
from the touches that preceded each move (first step of Stoikov 2018), folded
by symmetry, and shrunk to zero until there is evidence. *Flow*: signed traded
quantity per second, buyers of YES positive, forgetting alike.
"""

from __future__ import annotations

from math import exp

from libs.common.messages.market import FeaturesV1

Touch = tuple[int, int, int, int]
"""Best bid and its size, best ask and its size; both sides there, bid below ask."""

_IMBALANCE_BUCKETS = 4
_SPREAD_BUCKETS = 3
_EVIDENCE_PRIOR = 50.0
"""Touches without any drift that every micro-price state is taken to have seen."""
_AGE_FLOOR = 0.02
"""Least bias correction denominator: a market seconds old must not report a wild variance."""


class Features:
    """Estimators of one market; fed by the book on each change of its touch and by trades."""

    __slots__ = (
        "_bias",
        "_flow_sum",
        "_last_ms",
        "_mid",
        "_seen",
        "_start_ms",
        "_tau_ms",
        "_touches",
        "_trade_ms",
        "_trades_sum",
        "_var_sum",
    )

    def __init__(self, tau_ms: int) -> None:
        self._tau_ms = tau_ms
        self.reset()

    def reset(self) -> None:
        """Forget everything: after a gap the moves in between are unknown."""
        self._mid: float | None = None
        self._start_ms = 0
        self._last_ms = 0
        self._var_sum = 0.0
        self._trade_ms = 0
        self._flow_sum = 0.0
        self._trades_sum = 0.0
        states = _IMBALANCE_BUCKETS * _SPREAD_BUCKETS
        self._seen = [0.0] * states  # evidence: touches seen in the state before a move of the mid
        self._bias = [0.0] * states  # sum of the moves that followed, towards the heavier side
        self._touches: list[float] = [0.0] * (
            2 * states
        )  # since the last move: per state, heavy bid then ask

    def on_touch(self, touch: Touch, tick_e4: int, venue_ms: int) -> None:
        """Take the touch after a change of its price or size."""
        bid_e4, _, ask_e4, _ = touch
        mid = (bid_e4 + ask_e4) * 0.5
        last = self._mid
        if last is None:
            self._start_ms = self._last_ms = venue_ms
            self._mid = mid
        elif mid != last:
            move = mid - last
            elapsed_ms = venue_ms - self._last_ms
            if elapsed_ms > 0:
                self._var_sum *= exp(-elapsed_ms / self._tau_ms)
                self._last_ms = venue_ms
            self._var_sum += move * move
            self._mid = mid
            self._learn(move)
        state, is_bid_heavy = _state(touch, tick_e4)
        self._touches[2 * state + (0 if is_bid_heavy else 1)] += 1.0

    def on_trade(self, signed_e2: int, venue_ms: int) -> None:
        """Take a public trade; positive if the taker bought YES."""
        self._decay_trades(venue_ms)
        self._flow_sum += signed_e2
        self._trades_sum += 1.0

    def at(self, touch: Touch, tick_e4: int, as_of_ms: int) -> FeaturesV1:
        """Return the features of this touch at an exchange time; the estimators stay as they are."""
        bid_e4, bid_e2, ask_e4, ask_e2 = touch
        mid = (bid_e4 + ask_e4) * 0.5
        total = bid_e2 + ask_e2
        tau_ms = self._tau_ms
        tau_s = tau_ms / 1000.0
        fade = exp(-max(0, as_of_ms - self._last_ms) / tau_ms)
        young = max(_AGE_FLOOR, 1.0 - exp(-max(0, as_of_ms - self._start_ms) / tau_ms))
        trade_fade = exp(-max(0, as_of_ms - self._trade_ms) / tau_ms) if self._trade_ms else 0.0
        state, is_bid_heavy = _state(touch, tick_e4)
        drift = self._bias[state] / (self._seen[state] + _EVIDENCE_PRIOR)
        return FeaturesV1(
            mid_e4=mid,
            weighted_mid_e4=(bid_e4 * ask_e2 + ask_e4 * bid_e2) / total,
            micro_e4=mid + (drift if is_bid_heavy else -drift),
            variance_e8_s=self._var_sum * fade / (tau_s * young),
            imbalance=(bid_e2 - ask_e2) / total,
            flow_e2_s=self._flow_sum * trade_fade / tau_s,
            trades_s=self._trades_sum * trade_fade / tau_s,
        )

    # A move of the mid is the outcome of every touch since the last one.
    def _learn(self, move: float) -> None:
        touches = self._touches
        for state in range(_IMBALANCE_BUCKETS * _SPREAD_BUCKETS):
            bid_heavy, ask_heavy = touches[2 * state], touches[2 * state + 1]
            if bid_heavy or ask_heavy:
                self._seen[state] += bid_heavy + ask_heavy
                self._bias[state] += move * (bid_heavy - ask_heavy)
                touches[2 * state] = touches[2 * state + 1] = 0.0

    def _decay_trades(self, venue_ms: int) -> None:
        elapsed_ms = venue_ms - self._trade_ms
        if elapsed_ms <= 0:
            return
        if self._trade_ms:
            fade = exp(-elapsed_ms / self._tau_ms)
            self._flow_sum *= fade
            self._trades_sum *= fade
        self._trade_ms = venue_ms


def _state(touch: Touch, tick_e4: int) -> tuple[int, bool]:
    bid_e4, bid_e2, ask_e4, ask_e2 = touch
    imbalance = (bid_e2 - ask_e2) / (bid_e2 + ask_e2)
    strength = min(_IMBALANCE_BUCKETS - 1, int(abs(imbalance) * _IMBALANCE_BUCKETS))
    spread = min(_SPREAD_BUCKETS, max(1, (ask_e4 - bid_e4) // tick_e4)) - 1
    return spread * _IMBALANCE_BUCKETS + strength, imbalance >= 0
