"""A market's life: open, pause, close, determination, settlement (kalshi-api section 22).

Opening and closing are silent, as on the venue: a client runs its own clock.
After the close every order operation is refused, and what still rests is swept
with reason ``CloseCancel``. A result starts the settlement timer; when it has
run, every holder is paid and the market is finalized.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from libs.common.domain.fees import FeeTerms
from libs.common.domain.grid import PriceGrid
from libs.common.domain.ledger import payout_e6
from libs.common.domain.units import CENT_E6, DOLLAR_E4, format_price
from libs.common.messages.market import MarketState
from services.simexchange.core.accounts import Account, Settled
from services.simexchange.core.agenda import Due
from services.simexchange.core.announcements import FeeChange
from services.simexchange.core.clearing import Clearing, position_changed
from services.simexchange.core.engine import BookEngine
from services.simexchange.core.events import EventLifecycle, FeeChanged, LifecycleChanged
from services.simexchange.core.floor import Floor
from services.simexchange.core.ids import market_id_of
from services.simexchange.core.markets import EventSpec, Market, MarketSpec
from services.simexchange.core.orders import Order, Reason

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


_DETERMINED_BEFORE = frozenset(
    {MarketState.DETERMINED, MarketState.DISPUTED, MarketState.AMENDED, MarketState.FINALIZED}
)


class Lifecycle:
    """Lists markets and moves them through their states."""

    def __init__(self, floor: Floor, clearing: Clearing) -> None:
        self._floor = floor
        self._clearing = clearing
        self.sweep_delay_ns = 0
        """How long after the close resting orders are cancelled ("shortly after" at the venue)."""

    def add_event(self, spec: EventSpec, now_ns: int) -> None:
        """List an event."""
        assert spec.series in self._floor.series, f"event of a listed series, was {spec.series}"
        self._floor.events[spec.event] = spec
        self._floor.use_shards([spec.shard])
        fields = {
            "event_ticker": spec.event,
            "exchange_index": spec.shard,
            "title": spec.title,
            "subtitle": spec.subtitle,
            "collateral_return_type": "MECNET" if spec.is_mutually_exclusive else "",
            "series_ticker": spec.series,
        }
        self._floor.emit(EventLifecycle(spec.event, fields, now_ns // NS_PER_MS))

    def add_market(self, spec: MarketSpec, book: BookEngine, now_ns: int) -> Market:
        """List a market; it opens by itself when its time has come."""
        event = self._floor.events[spec.event]
        market = Market(
            spec=spec,
            event=event,
            series=self._floor.series[event.series],
            book=book,
            market_id=market_id_of(spec.market),
            grid=spec.grid,
            structure=spec.structure,
            state=MarketState.INITIALIZED,
            open_ns=spec.open_ns,
            close_ns=spec.close_ns,
            created_ns=spec.created_ns or now_ns,
            updated_ns=now_ns,
        )
        self._resolve_fees(market)
        self._floor.markets[spec.market] = market
        self._tell(market, "created", now_ns, _created_fields(market))
        if spec.open_ns <= now_ns < spec.close_ns:
            market.state = MarketState.ACTIVE
        else:
            self._floor.agenda.put(spec.open_ns, Due.OPEN, spec.market)
        self._floor.agenda.put(spec.close_ns, Due.CLOSE, spec.market)
        if spec.result is not None:
            self._floor.agenda.put(spec.determine_ns or spec.close_ns, Due.DETERMINE, spec.market)
        return market

    def handle(self, due: Due, key: str, due_ns: int, now_ns: int) -> None:
        """Do what a reminder asks, if it still holds; times of the facts are the due times."""
        if due is Due.EXPIRE:
            self._expire(self._floor.orders.get(key), now_ns)
            return
        market = self._floor.markets[key]
        match due:
            case Due.OPEN:
                if market.state is MarketState.INITIALIZED and market.open_ns <= now_ns < market.close_ns:
                    market.state = MarketState.INACTIVE if market.is_deactivated else MarketState.ACTIVE
            case Due.CLOSE:
                self._close(market, now_ns)
            case Due.SWEEP:
                self._sweep(market, now_ns)
            case Due.DETERMINE:
                if market.state is MarketState.CLOSED and market.spec.result is not None:
                    self.determine(market, market.spec.result, market.spec.settlement_value_e4, due_ns)
            case Due.SETTLE:
                if market.state in {MarketState.DETERMINED, MarketState.AMENDED} and due_ns == _settle_ns(
                    market
                ):
                    self._settle(market, now_ns)

    def set_close(self, market: Market, close_ns: int, now_ns: int) -> None:
        """Move the close time, also to now or into the past (early close), or reopen what had closed."""
        market.close_ns, market.updated_ns = close_ns, now_ns
        self._tell(market, "close_date_updated", now_ns, {"close_ts": close_ns // NS_PER_S})
        if market.state is MarketState.CLOSED and close_ns > now_ns:
            market.state = MarketState.ACTIVE
            market.is_close_swept = False
            self._tell(market, "activated", now_ns, {"is_deactivated": False})
        self._floor.agenda.put(close_ns, Due.CLOSE, market.ticker)
        if market.spec.result is not None:
            determine_ns = max(close_ns, market.spec.determine_ns or 0)
            self._floor.agenda.put(determine_ns, Due.DETERMINE, market.ticker)

    def determine(self, market: Market, result: str, value_e4: int | None, now_ns: int) -> None:
        """Set the result and start the settlement timer; again starts it anew, also after the payout.

        The venue does not document the last (ADR 0021): here the timer runs again, then the
        record of each holder is replaced and the difference is paid or taken back.
        """
        assert result in {"yes", "no", "scalar"}, f"result yes, no or scalar, was {result}"
        if value_e4 is None:
            value_e4 = DOLLAR_E4 if result == "yes" else 0
        is_again = market.state in _DETERMINED_BEFORE
        market.state = MarketState.AMENDED if is_again else MarketState.DETERMINED
        market.result, market.value_e4, market.determined_ns, market.updated_ns = (
            result,
            value_e4,
            now_ns,
            now_ns,
        )
        fields = {
            "determination_ts": now_ns // NS_PER_S,
            "result": result,
            "settlement_value": format_price(value_e4),
        }
        self._tell(market, "determined", now_ns, fields)
        self._floor.agenda.put(_settle_ns(market), Due.SETTLE, market.ticker)

    def dispute(self, market: Market, now_ns: int) -> None:
        """Hold a result that is not paid out yet: the timer stops until it is determined again."""
        assert market.state in {MarketState.DETERMINED, MarketState.AMENDED}, (
            f"determined market that is not paid out, was {market.state}"
        )
        market.state, market.updated_ns = MarketState.DISPUTED, now_ns

    def set_active(self, market: Market, now_ns: int, *, is_active: bool) -> None:
        """Deactivate, or activate again, which cancels all resting orders (kalshi-api 22.1)."""
        market.is_deactivated = not is_active
        market.updated_ns = now_ns
        if is_active and market.state is MarketState.INACTIVE:
            self.cancel_all_of(market, Reason.HALT_CANCEL, now_ns)
            market.state = MarketState.ACTIVE
        elif not is_active and market.state is MarketState.ACTIVE:
            market.state = MarketState.INACTIVE
            self.cancel_all_of(market, Reason.HALT_CANCEL, now_ns, only_on_pause=True)
        word = "activated" if is_active else "deactivated"
        self._tell(market, word, now_ns, {"is_deactivated": not is_active})

    def set_grid(self, market: Market, structure: str, grid: PriceGrid, now_ns: int) -> None:
        """Change the price grid; resting orders stay where they are."""
        market.grid, market.structure, market.updated_ns = grid, structure, now_ns
        fields = {"price_level_structure": structure, "price_ranges": price_ranges(grid)}
        self._tell(market, "price_level_structure_updated", now_ns, fields)

    def set_fee(self, event: str, fee_type: str | None, multiplier_e4: int | None, now_ns: int) -> None:
        """Override an event's fee terms; both None clear the override."""
        spec = self._floor.events[event]
        changed = replace(spec, fee_type_override=fee_type, fee_multiplier_override_e4=multiplier_e4)
        self._floor.events[event] = changed
        for market in self._floor.markets.values():
            if market.spec.event == event:
                market.event = changed
                self._resolve_fees(market)
        self._floor.emit(FeeChanged(event, fee_type, multiplier_e4, now_ns // NS_PER_MS))

    def set_series_fee(self, series: str, fee_type: str, multiplier_e4: int) -> None:
        """Change a series' fee terms; where an event has an override, that stays. Nothing tells of it."""
        changed = replace(self._floor.series[series], fee_type=fee_type, fee_multiplier_e4=multiplier_e4)
        self._floor.series[series] = changed
        for market in self._floor.markets.values():
            if market.event.series == series:
                market.series = changed
                self._resolve_fees(market)

    def come_true(self, change: FeeChange, now_ns: int) -> None:
        """Let an announced fee change come true."""
        if change.event:
            self.set_fee(change.event, change.fee_type, change.multiplier_e4, now_ns)
            return
        assert change.fee_type is not None, "terms of a series, was None"
        assert change.multiplier_e4 is not None, "terms of a series, was None"
        self.set_series_fee(change.series, change.fee_type, change.multiplier_e4)

    def cancel_all_of(
        self, market: Market, reason: Reason, now_ns: int, *, only_on_pause: bool = False
    ) -> None:
        """Cancel the market's resting orders of all accounts, in one engine action."""
        ended = [o for o in list(market.book.resting()) if o.cancel_on_pause or not only_on_pause]
        if not ended:
            return
        market.clock += 1
        for order in ended:
            self._clearing.end(order, reason, now_ns)
        self._clearing.touched(market, now_ns)

    def _close(self, market: Market, now_ns: int) -> None:
        is_open = market.state in {MarketState.ACTIVE, MarketState.INACTIVE, MarketState.INITIALIZED}
        if is_open and market.close_ns <= now_ns:
            market.state = MarketState.CLOSED
            market.updated_ns = now_ns
            if self.sweep_delay_ns:
                self._floor.agenda.put(now_ns + self.sweep_delay_ns, Due.SWEEP, market.ticker)
            else:
                self._sweep(market, now_ns)

    def _sweep(self, market: Market, now_ns: int) -> None:
        if market.state is not MarketState.ACTIVE and not market.is_close_swept:
            market.is_close_swept = True
            self.cancel_all_of(market, Reason.CLOSE_CANCEL, now_ns)

    def _expire(self, order: Order | None, now_ns: int) -> None:
        if order is None or not order.is_resting or order.expires_ns is None or order.expires_ns > now_ns:
            return
        market = self._floor.markets[order.market]
        market.clock += 1
        self._clearing.end(order, Reason.EXPIRY_CANCEL, now_ns)
        self._clearing.touched(market, now_ns)

    def _settle(self, market: Market, now_ns: int) -> None:
        market.state = MarketState.FINALIZED
        market.settled_ns = market.updated_ns = now_ns
        market.open_interest_e2 = 0
        for account in self._floor.accounts.values():
            self._pay(account, market, now_ns)
        self._tell(market, "settled", now_ns, {"settled_ts": now_ns // NS_PER_S})

    def _pay(self, account: Account, market: Market, now_ns: int) -> None:
        """Pay one account its settlement value and note it, if it holds the market or was paid for it."""
        position = account.positions.get(market.ticker)
        if position is None or market.value_e4 is None:
            return
        before, before_e6 = account.settlements.get(market.ticker), position.cash_e6
        held_e2 = position.qty_e2 if before is None else before.yes_e2 - before.no_e2
        cost_e6 = position.cost_e6 if before is None else before.yes_cost_e6 + before.no_cost_e6
        revenue_e6 = payout_e6(held_e2, market.value_e4)
        # Whole cents are paid; the rest of a scalar result is shown as a fee (kalshi-api 22.4).
        fee_e6 = 0 if account.is_internal else revenue_e6 % CENT_E6
        if before is None:
            position.apply_settlement(revenue_e6, fee_e6)
            self._floor.fees_e6 += fee_e6
        else:
            position.amend_settlement(revenue_e6 - before.revenue_e6 - before.fee_e6, fee_e6 - before.fee_e6)
            self._floor.fees_e6 += fee_e6 - before.fee_e6
        account.cash_e6[market.shard] = account.cash_e6.get(market.shard, 0) + position.cash_e6 - before_e6
        if not held_e2:
            return
        account.settlements[market.ticker] = Settled(
            market.ticker, market.spec.event, market.shard, market.result,
            max(0, held_e2), max(0, -held_e2),
            cost_e6 if held_e2 > 0 else 0, cost_e6 if held_e2 < 0 else 0,
            revenue_e6 - fee_e6, market.value_e4, fee_e6, now_ns,
        )  # fmt: skip
        if account.is_internal:
            return
        account.position_updated_ns[market.ticker] = now_ns
        self._floor.emit(position_changed(account, market.ticker))

    def _resolve_fees(self, market: Market) -> None:
        event, series = market.event, market.series
        multiplier_e4 = event.fee_multiplier_override_e4
        market.terms = FeeTerms(
            event.fee_type_override or series.fee_type,
            series.fee_multiplier_e4 if multiplier_e4 is None else multiplier_e4,
        )

    def _tell(self, market: Market, event_type: str, now_ns: int, fields: Mapping[str, object]) -> None:
        self._floor.emit(LifecycleChanged(event_type, market.ticker, fields, now_ns // NS_PER_MS))


def price_ranges(grid: PriceGrid) -> list[dict[str, str]]:
    """Return the grid as the venue writes it."""
    return [
        {
            "start": format_price(band.start_e4),
            "end": format_price(band.end_e4),
            "step": format_price(band.step_e4),
        }
        for band in grid.bands
    ]


def _settle_ns(market: Market) -> int:
    assert market.determined_ns is not None
    return market.determined_ns + int(market.spec.settlement_timer_s * NS_PER_S)


def _created_fields(market: Market) -> dict[str, object]:
    spec = market.spec
    metadata = {
        "name": spec.yes_subtitle or spec.title,
        "title": spec.title,
        "yes_sub_title": spec.yes_subtitle,
        "no_sub_title": spec.no_subtitle,
        "rules_primary": str(spec.extra.get("rules_primary", "")),
        "rules_secondary": str(spec.extra.get("rules_secondary", "")),
        "can_close_early": spec.can_close_early,
        "event_ticker": spec.event,
        "expected_expiration_ts": spec.close_ns // NS_PER_S,
    }
    for key in ("strike_type", "floor_strike", "cap_strike", "custom_strike"):
        if spec.extra.get(key) is not None:
            metadata[key] = spec.extra[key]
    return {
        "exchange_index": market.shard,
        "open_ts": spec.open_ns // NS_PER_S,
        "close_ts": spec.close_ns // NS_PER_S,
        "price_level_structure": market.structure,
        "price_ranges": price_ranges(market.grid),
        "additional_metadata": metadata,
    }
