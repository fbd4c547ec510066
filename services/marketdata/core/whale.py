"""Large orders, one-sided books, and levels that vanish without having traded (E-044 to E-046).

A level is *large* when it holds at least a configured quantity and a configured
share of its side. It is *suspected of spoofing* when it shrinks to less than
half within a configured time of its appearance and the trades at its price
explain less than half of what left. Deltas and trades come on two
subscriptions in no promised order, so the verdict waits a grace period.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from libs.common.domain.side import Side
from libs.common.kalshi.model import BookDelta
from libs.common.messages.market import WhaleV1


class WhaleRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds; quantities in hundredths of a contract, times of the exchange."""

    size_e2_min: int = 100_000
    depth_pct_min: float = 25.0
    imbalance_min: float = 0.8
    """Share by which one side's whole depth outweighs the other, 0 to 1."""
    imbalance_depth_e2_min: int = 100_000
    spoof_window_ms: int = 5_000
    grace_ms: int = 500
    cooldown_ms: int = 5_000
    """Least time between two messages of one kind in one market."""


@dataclass(slots=True)
class _Large:
    """A large level that is being watched."""

    peak_e2: int
    since_ms: int
    traded_e2: int = 0
    gone_ms: int = 0
    left_e2: int = 0


class Whales:
    """The watch over one market."""

    __slots__ = ("_imbalance_ms", "_large", "_market", "_rules", "_said_ms", "is_watching")

    def __init__(self, market: str, rules: WhaleRules) -> None:
        self._market = market
        self._rules = rules
        self._large: dict[tuple[Side, int], _Large] = {}
        self._said_ms: dict[str, int] = {}
        self.is_watching = False
        """False while no large level exists: the hot path then asks nothing more."""

    def reset(self) -> None:
        """Forget the watched levels: across a gap nobody knows why one left."""
        self._large.clear()
        self.is_watching = False

    def on_level(self, delta: BookDelta, level_e2: int, sides_e2: tuple[int, int]) -> list[WhaleV1]:
        """Take a change that the caller found worth a look.

        Args:
            delta: The change.
            level_e2: What rests at its price now.
            sides_e2: Whole depth of its side, and of the other.
        """
        side, price_e4, change_e2, venue_ms = delta.side, delta.price_e4, delta.change_e2, delta.venue_ms
        side_e2, other_e2 = sides_e2
        rules = self._rules
        key = (side, price_e4)
        if change_e2 > 0:
            if key in self._large:
                self._large[key].peak_e2 = max(self._large[key].peak_e2, level_e2)
                return []
            share = 100.0 * level_e2 / side_e2
            if level_e2 < rules.size_e2_min or share < rules.depth_pct_min:
                return []
            self._large[key] = _Large(peak_e2=level_e2, since_ms=venue_ms)
            self.is_watching = True
            kind = "large_bid" if side is Side.BID else "large_ask"
            imbalance = _imbalance(side, side_e2, other_e2)
            return self._say(kind, side, (level_e2, price_e4, share), imbalance, venue_ms)
        large = self._large.get(key)
        if large is not None and not large.gone_ms and level_e2 * 2 < large.peak_e2:
            large.gone_ms = venue_ms
            large.left_e2 = large.peak_e2 - level_e2
        return []

    def on_trade(self, taker_side: Side, price_e4: int, qty_e2: int) -> None:
        """Take a trade: it explains part of a watched level's loss."""
        large = self._large.get((taker_side.opposite, price_e4))
        if large is not None:
            large.traded_e2 += qty_e2

    def check(self, bids_e2: int, asks_e2: int, as_of_ms: int) -> list[WhaleV1]:
        """Pass the verdicts that are due and look at the balance of the whole book."""
        rules = self._rules
        found: list[WhaleV1] = []
        for key, large in list(self._large.items()):
            if large.gone_ms and as_of_ms - large.gone_ms >= rules.grace_ms:
                del self._large[key]
                is_quick = large.gone_ms - large.since_ms <= rules.spoof_window_ms
                if is_quick and large.traded_e2 * 2 < large.left_e2:
                    side, price_e4 = key
                    imbalance = _imbalance(Side.BID, bids_e2, asks_e2)
                    # A bid that was never meant to trade was there to lift the price: the bias is down.
                    found += self._say(
                        "spoof_suspected", side.opposite, (large.left_e2, price_e4, 0.0), imbalance, as_of_ms
                    )
        self.is_watching = bool(self._large)
        total_e2 = bids_e2 + asks_e2
        if total_e2 >= rules.imbalance_depth_e2_min:
            imbalance = (bids_e2 - asks_e2) / total_e2
            if abs(imbalance) >= rules.imbalance_min:
                side = Side.BID if imbalance > 0 else Side.ASK
                what = (max(bids_e2, asks_e2), 0, 100.0)
                found += self._say("high_imbalance", side, what, imbalance, as_of_ms)
        return found

    # ``what`` is size, price and share of its side in percent.
    def _say(
        self, kind: str, bias: Side, what: tuple[int, int, float], imbalance: float, venue_ms: int
    ) -> list[WhaleV1]:
        size_e2, price_e4, share = what
        said_ms = self._said_ms.get(kind)
        if said_ms is not None and venue_ms - said_ms < self._rules.cooldown_ms:
            return []
        self._said_ms[kind] = venue_ms
        return [
            WhaleV1(
                market=self._market,
                event_type=kind,
                size_e2=size_e2,
                price_e4=price_e4,
                depth_pct=round(share, 4),
                imbalance=round(imbalance, 6),
                side_bias="BUY_BIAS" if bias is Side.BID else "SELL_BIAS",
                venue_ms=venue_ms,
            )
        ]


def _imbalance(side: Side, side_e2: int, other_e2: int) -> float:
    total_e2 = side_e2 + other_e2
    if not total_e2:
        return 0.0
    return side.sign * (side_e2 - other_e2) / total_e2
