"""What the executor may ask of the venue, in its own words; the shell writes them in the venue's."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.domain.side import Side


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A new order: a resting quote unless said otherwise; never without a group."""

    market: str
    shard: int
    client_order_id: str
    side: Side
    price_e4: int
    qty_e2: int
    order_group_id: str
    expires_ms: int
    post_only: bool = True
    reduce_only: bool = False
    is_immediate: bool = False
    strategy: str = ""
    """Whose quote it is, for halts of one strategy; the venue is not told."""

    @property
    def is_exit(self) -> bool:
        """Return whether it can only make a position smaller, and never rests."""
        return self.reduce_only and self.is_immediate


@dataclass(frozen=True, slots=True)
class AmendRequest:
    """A change of price, size or expiry of a resting order; ``total_e2`` counts what is filled."""

    order_id: str
    client_order_id: str
    market: str
    shard: int
    side: Side
    price_e4: int
    total_e2: int
    expires_ms: int
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class DecreaseRequest:
    """A smaller size at the same place in the queue; lowers risk only, so it needs no approval.

    Asked as a difference: whatever fills cross it, the order's new total is known, and the position
    that it can lead to is the one that was decided.
    """

    order_id: str
    client_order_id: str
    market: str
    shard: int
    remaining_e2: int
    reduce_by_e2: int


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """An end; needs no approval and meets no gate."""

    order_id: str
    client_order_id: str
    market: str
    shard: int
    decision_id: str = ""
