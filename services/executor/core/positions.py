"""Positions and money from fills and settlements, each counted once on whatever path it came.

A fill that names an order nobody knows yet is parked, not guessed: the feed may
tell a fill before the answer names the order (reliability F24). It is booked when
the order's name is learnt, or as foreign once the venue says whose it is.
Residuals compare our sums with the venue's own; both must be zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libs.common.domain.ledger import AccountLedger, Fill
from libs.common.kalshi.model import VenueFill, VenuePosition, VenueSettlement
from libs.common.messages.execution import FillV1, PositionV1, RestingV1
from services.executor.core.orders import OwnOrder


@dataclass(frozen=True, slots=True)
class Genesis:
    """Cash before any order of ours, and when; by shard as far as the venue told."""

    balance_e6: int
    ms: int
    by_shard: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Positions:
    """All positions of one account.

    Attributes:
        account: Whose.
        epoch: Number of the present epoch, for `PositionV1`.
        genesis: Where the cash comparison starts; None until known.
        listed_ms: Venue time up to which listings told every fill, where a back-fill starts; 0 before any.
    """

    account: str
    epoch: int = 0
    genesis: Genesis | None = None
    listed_ms: int = 0
    fills_after_genesis: int = 0
    _ledger: AccountLedger = field(default_factory=AccountLedger)
    _before_genesis_e6: int = 0
    _parked: dict[tuple[str, str], VenueFill] = field(default_factory=dict)
    _paid: dict[str, VenueSettlement] = field(default_factory=dict)
    """The settlement counted, by market."""
    _sequences: dict[str, int] = field(default_factory=dict)

    def is_counted(self, fill: VenueFill) -> bool:
        """Return whether the fill was booked before."""
        return self._ledger.has_fill(fill.trade_id, fill.order_id)

    def listed(self, fills: Iterable[VenueFill]) -> None:
        """Note a listing of fills that was taken whole."""
        self.listed_ms = max(self.listed_ms, max((fill.venue_ms for fill in fills), default=0))

    def park(self, fill: VenueFill) -> None:
        """Keep a fill until its order is known."""
        self._parked[fill.trade_id, fill.order_id] = fill

    def parked(self) -> list[VenueFill]:
        """Return the fills whose order is unknown."""
        return list(self._parked.values())

    def unpark(self, order_id: str) -> list[VenueFill]:
        """Return and forget the parked fills of an order that now has a name."""
        found = [fill for fill in self._parked.values() if fill.order_id == order_id]
        for fill in found:
            del self._parked[fill.trade_id, fill.order_id]
        return found

    def book(self, fill: VenueFill, order: OwnOrder | None) -> FillV1 | None:
        """Count a fill; return its record, or None if it was counted before.

        ``order`` is None for a fill of an order that is not ours but on our account.
        """
        cash_before = self._ledger.position(fill.market).cash_e6
        realised = self._ledger.apply_fill(
            Fill(
                fill.trade_id,
                fill.order_id,
                fill.market,
                fill.side,
                fill.price_e4,
                fill.qty_e2,
                fill.fee_e6,
            )
        )
        if realised is None:
            return None
        position = self._ledger.position(fill.market)
        if self.genesis is not None and fill.venue_ms < self.genesis.ms:
            self._before_genesis_e6 += position.cash_e6 - cash_before
        else:
            self.fills_after_genesis += 1
        return FillV1(
            account=self.account,
            market=fill.market,
            shard=fill.shard,
            trade_id=fill.trade_id,
            order_id=fill.order_id,
            client_order_id=order.client_order_id if order is not None else fill.client_order_id,
            decision_id=order.decision_id if order is not None else "",
            side=fill.side,
            price_e4=fill.price_e4,
            qty_e2=fill.qty_e2,
            fee_e6=fill.fee_e6,
            is_taker=fill.is_taker,
            venue_ms=fill.venue_ms,
            position_after_e2=position.qty_e2,
            pnl_delta_e6=realised - fill.fee_e6,
        )

    def settle(self, settlement: VenueSettlement) -> bool:
        """Count a settlement, or correct the one counted; return False while fills of the market are missing.

        The venue paid for the quantity that it says was held; where ours differs,
        a fill has not been heard yet, and settling now would count it twice.
        """
        before, position = self._paid.get(settlement.market), self._ledger.position(settlement.market)
        filled_e2 = position.qty_e2 + (0 if before is None else before.yes_e2 - before.no_e2)
        if filled_e2 != settlement.yes_e2 - settlement.no_e2:
            return False
        self._paid[settlement.market] = settlement
        cash_before = position.cash_e6
        self._ledger.apply_settlement(settlement.market, settlement.gross_e6, settlement.fee_e6)
        if self.genesis is not None and settlement.settled_ms < self.genesis.ms:
            self._before_genesis_e6 += position.cash_e6 - cash_before
        return True

    def is_news(self, settlement: VenueSettlement) -> bool:
        """Return whether a settlement is the first of its market, or a newer record than the one counted."""
        before = self._paid.get(settlement.market)
        return before is None or (settlement.settled_ms >= before.settled_ms and settlement != before)

    def is_settled(self, market: str) -> bool:
        """Return whether the market was paid out."""
        return self._ledger.position(market).is_settled

    def qty_e2(self, market: str) -> int:
        """Return the signed position."""
        return self._ledger.position(market).qty_e2

    def cost_e6(self, market: str) -> int:
        """Return what the open leg cost."""
        return self._ledger.position(market).cost_e6

    def cash_e6(self, market: str) -> int:
        """Return what the market's fills and settlements brought in all, fees included; negative was paid."""
        return self._ledger.position(market).cash_e6

    @property
    def open_markets(self) -> set[str]:
        """Return the markets with a position."""
        return set(self._ledger.quantities())

    @property
    def fees_e6(self) -> int:
        """Return all fees paid."""
        return self._ledger.fees_e6

    @property
    def realised_e6(self) -> int:
        """Return the realised result of all markets, before fees."""
        return self._ledger.realised_e6

    @property
    def fill_count(self) -> int:
        """Return how many fills since genesis were counted."""
        return self.fills_after_genesis

    def message(self, market: str, orders: Iterable[OwnOrder], *, has_unknown: bool) -> PositionV1:
        """Return the market's state for everyone, with the next sequence number."""
        sequence = self._sequences[market] = self._sequences.get(market, 0) + 1
        by_price: dict[tuple[str, int], RestingV1] = {}
        for order in orders:
            if not order.order_id or not order.remaining_e2:
                continue
            key = (order.side.value, order.price_e4)
            held = by_price.get(key)
            by_price[key] = RestingV1(
                side=order.side,
                price_e4=order.price_e4,
                qty_e2=order.remaining_e2 + (held.qty_e2 if held is not None else 0),
            )
        position = self._ledger.position(market)
        return PositionV1(
            account=self.account,
            market=market,
            epoch=self.epoch,
            sequence=sequence,
            qty_e2=position.qty_e2,
            cost_e6=position.cost_e6,
            realised_e6=position.realised_e6,
            fees_e6=position.fees_e6,
            resting=tuple(by_price[key] for key in sorted(by_price)),
            has_unknown=has_unknown,
            is_settled=position.is_settled,
        )

    def new_epoch(self, number: int) -> None:
        """Start the sequences of a new epoch."""
        self.epoch = number
        self._sequences.clear()

    def position_residual_e2(self, venue: Iterable[VenuePosition]) -> int:
        """Return the sum of absolute differences to the venue's unsettled positions."""
        theirs: Mapping[str, int] = {position.market: position.qty_e2 for position in venue}
        ours = self._ledger.quantities()
        return sum(abs(ours.get(market, 0) - theirs.get(market, 0)) for market in {*ours, *theirs})

    def cash_residual_e6(self, balance_e6: int) -> int:
        """Return the venue's cash change since genesis minus ours."""
        if self.genesis is None:
            return 0
        flowed_e6 = self._ledger.cash_e6 - self._before_genesis_e6
        return (balance_e6 - self.genesis.balance_e6) - flowed_e6
