"""The venue: one synchronous, deterministic object that everything goes through.

Time is an argument (Unix nanoseconds) and never runs backwards in here. Every
call first does what has become due, then what it was asked; it changes state at
once and leaves :class:`~services.simexchange.core.events.Event` values behind,
which ``drain`` hands out and the shells send on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from services.simexchange.core.accounts import Account
from services.simexchange.core.agenda import Due
from services.simexchange.core.amend import OrderAmend
from services.simexchange.core.announcements import FeeChange
from services.simexchange.core.bank import Bank, Funding, FundingStatus, Transfer
from services.simexchange.core.clearing import Clearing
from services.simexchange.core.collateral import Collateral, CollateralPolicy
from services.simexchange.core.engine import BookEngine, ExternalBook
from services.simexchange.core.entry import OrderEntry
from services.simexchange.core.events import BookReset, Event
from services.simexchange.core.faults import Chance, FaultBoard
from services.simexchange.core.floor import TAPE, Floor
from services.simexchange.core.group_desk import GroupDesk
from services.simexchange.core.ids import IdMint
from services.simexchange.core.lifecycle import Lifecycle
from services.simexchange.core.markets import EventSpec, Market, MarketSpec, SeriesSpec
from services.simexchange.core.orders import Reason
from services.simexchange.core.read_view import ReadView
from services.simexchange.core.requests import (
    AmendRequest,
    CreateRequest,
    DecreaseRequest,
    OrderRef,
    Placed,
    Reduced,
    Rejection,
)
from services.simexchange.core.seeding import forget_ended, list_markets, seed

NS_PER_MS = 1_000_000


class Venue:
    """Listing, trading, life and money of one simulated exchange.

    Attributes:
        floor: All state, to look at.
        faults: The switchboard shared with the shells.
        groups: The order groups' desk.
        bank: Transfers between shards, deposits, withdrawals.
    """

    def __init__(
        self,
        *,
        chance: Chance,
        seed: int = 1,
        read_lag_ns: int = 0,
        collateral: CollateralPolicy = CollateralPolicy.SUM,
    ) -> None:
        self.faults = FaultBoard(chance)
        self.floor = Floor(IdMint(seed), self.faults, ReadView(read_lag_ns), Collateral(collateral))
        clearing = Clearing(self.floor)
        self._clearing = clearing
        self.entry = OrderEntry(self.floor, clearing)
        self._amend = OrderAmend(self.floor, clearing, self.entry)
        self.groups = GroupDesk(self.floor, clearing)
        self.life = Lifecycle(self.floor, clearing)
        self.bank = Bank(self.floor)
        self.add_account(TAPE, cash_by_shard={}, now_ns=0, is_internal=True)

    @property
    def markets(self) -> Mapping[str, Market]:
        """Return all listed markets."""
        return self.floor.markets

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Return all accounts, the tape's included."""
        return self.floor.accounts

    # Listing -----------------------------------------------------------------------------------------

    def add_account(
        self,
        name: str,
        *,
        cash_by_shard: Mapping[int, int],
        now_ns: int,
        tier: str = "basic",
        is_internal: bool = False,
    ) -> Account:
        """Open an account; cash in millionths of a dollar.

        Internal ones have endless credit and pay no fees.
        """
        assert name not in self.floor.accounts, f"new account name, was {name}"
        account = Account(name, self.floor.ids.next(), tier, is_internal, dict(cash_by_shard))
        self.floor.accounts[name] = account
        self.floor.deposits_e6 += sum(cash_by_shard.values())
        self.floor.use_shards(cash_by_shard)
        self._due(now_ns)
        if self.floor.reads.is_lagging:
            self.floor.reads.baseline(account)
        return account

    def deposit(self, account: str, shard: int, amount_e6: int, now_ns: int) -> None:
        """Move cash into (or, negative, out of) an account at once, with no record that any read tells of.

        What a real venue would do only by mistake; `fund` is how money comes and goes.
        """
        self._due(now_ns)
        cash_e6 = self.floor.accounts[account].cash_e6
        cash_e6[shard] = cash_e6.get(shard, 0) + amount_e6
        self.floor.deposits_e6 += amount_e6
        self.floor.use_shards([shard])
        self.floor.reads.note_cash(self.floor.accounts[account], self.floor.now_ns)

    def fund(
        self,
        account: str,
        shard: int,
        amount_e6: int,
        now_ns: int,
        *,
        fee_e6: int = 0,
        after_ns: int = 0,
        becomes: FundingStatus = FundingStatus.APPLIED,
    ) -> Funding:
        """Announce a deposit (or, negative, a withdrawal) that is final after a while."""
        self._due(now_ns)
        found = self.floor.accounts[account]
        funding = self.bank.fund(found, shard, amount_e6, fee_e6, after_ns, now_ns, becomes)
        self._due(now_ns)
        return funding

    def give_back(self, funding_id: str, now_ns: int) -> None:
        """Return a deposit or withdrawal that was applied."""
        self._due(now_ns)
        self.bank.give_back(funding_id, now_ns)

    def transfer(
        self,
        account: str,
        from_shard: int,
        to_shard: int,
        amount_e6: int,
        now_ns: int,
        *,
        client_transfer_id: str = "",
    ) -> Transfer | Rejection:
        """Move an account's cash from shard to shard; it arrives later."""
        self._due(now_ns)
        found = self.floor.accounts[account]
        return self.bank.transfer(found, from_shard, to_shard, amount_e6, client_transfer_id, now_ns)

    def add_series(self, spec: SeriesSpec) -> None:
        """List a series."""
        self.floor.series[spec.series] = spec

    def add_event(self, spec: EventSpec, now_ns: int) -> None:
        """List an event of a listed series."""
        self._due(now_ns)
        self.life.add_event(spec, now_ns)

    def add_market(self, spec: MarketSpec, book: BookEngine, now_ns: int) -> Market:
        """List a market of a listed event; it opens by itself."""
        self._due(now_ns)
        return self.life.add_market(spec, book, now_ns)

    # Trading -----------------------------------------------------------------------------------------

    def create(self, account: str, request: CreateRequest, now_ns: int) -> Placed | Rejection:
        """Place an order."""
        self._due(now_ns)
        placed = self.entry.create(self.floor.accounts[account], request, now_ns)
        if isinstance(placed, Rejection):
            self.floor.accounts[account].refusals[placed.code] += 1
        return placed

    def amend(self, account: str, request: AmendRequest, now_ns: int) -> Placed | Rejection:
        """Change an order's price, total or expiry."""
        self._due(now_ns)
        return self._amend.amend(self.floor.accounts[account], request, now_ns)

    def decrease(self, account: str, request: DecreaseRequest, now_ns: int) -> Reduced | Rejection:
        """Make an order smaller where it stands."""
        self._due(now_ns)
        return self._amend.decrease(self.floor.accounts[account], request, now_ns)

    def cancel(self, account: str, ref: OrderRef, now_ns: int) -> Reduced | Rejection:
        """Cancel an order."""
        self._due(now_ns)
        return self.entry.cancel(self.floor.accounts[account], ref, now_ns)

    def cancel_all(self, account: str, now_ns: int) -> int:
        """Cancel every resting order of the account on all shards; return how many."""
        self._due(now_ns)
        return self.entry.cancel_all(self.floor.accounts[account], now_ns)

    # For measurements --------------------------------------------------------------------------------

    def list_quiet_markets(self, series: str, shard: int, count: int, now_ns: int) -> list[str]:
        """List markets in which nothing happens by itself; return their names."""
        self._due(now_ns)
        return list_markets(self.floor, self.life, series, shard, count, now_ns)

    def seed(self, account: str, groups: Mapping[str, str], count: int, now_ns: int) -> int:
        """Put resting orders into the books, group by market, and forget those that ended before."""
        self._due(now_ns)
        forget_ended(self.floor, account)
        return seed(self.floor, self._clearing, account, groups, count, now_ns)

    # Anonymous events --------------------------------------------------------------------------------

    def reset_book(
        self,
        market: str,
        bids: Sequence[tuple[int, int]],
        asks: Sequence[tuple[int, int]],
        now_ns: int,
    ) -> None:
        """Replace the anonymous levels of a tape's market; subscribers get a new snapshot."""
        self._due(now_ns)
        found = self.floor.markets[market]
        found.clock += 1
        effect = cast("ExternalBook", found.book).reset(bids, asks)
        self._clearing.external(found, effect, now_ns)
        self.floor.emit(BookReset(market, found.clock, now_ns // NS_PER_MS))
        self._clearing.touched(found, now_ns)

    def apply_levels(self, market: str, changes: Sequence[tuple[Side, int, int]], now_ns: int) -> None:
        """Apply recorded level changes ``(side, YES price, signed quantity)`` as one engine action."""
        self._due(now_ns)
        found = self.floor.markets[market]
        found.clock += 1
        book = cast("ExternalBook", found.book)
        for side, price_e4, change_e2 in changes:
            self._clearing.external(found, book.apply_level(side, price_e4, change_e2, now_ns), now_ns)
        self._clearing.touched(found, now_ns)

    def apply_trade(self, market: str, taker_side: Side, price_e4: int, qty_e2: int, now_ns: int) -> None:
        """Apply a recorded public trade; its level change comes as its own delta."""
        self._due(now_ns)
        found = self.floor.markets[market]
        found.clock += 1
        effect = cast("ExternalBook", found.book).apply_trade(taker_side, price_e4, qty_e2, now_ns)
        self._clearing.external(found, effect, now_ns)
        self._clearing.touched(found, now_ns)

    # Life --------------------------------------------------------------------------------------------

    def advance(self, now_ns: int) -> None:
        """Do everything that is due."""
        self._due(now_ns)

    def next_due_ns(self) -> int | None:
        """Return when `advance` next has something to look at, or None."""
        return self.floor.agenda.next_ns()

    def set_close(self, market: str, close_ns: int, now_ns: int) -> None:
        """Move a market's close."""
        self._due(now_ns)
        self.life.set_close(self.floor.markets[market], close_ns, now_ns)
        self._due(now_ns)

    def set_result(self, market: str, result: str, now_ns: int, *, value_e4: int | None = None) -> None:
        """Determine a closed market; it settles when its timer has run.

        Again before that: the result is amended and the timer starts anew. Again after
        that: what was paid is corrected when the new timer has run.
        """
        self._due(now_ns)
        self.life.determine(self.floor.markets[market], result, value_e4, now_ns)
        self._due(now_ns)

    def dispute(self, market: str, now_ns: int) -> None:
        """Dispute a result that is not paid out yet; it is held until it is determined again."""
        self._due(now_ns)
        self.life.dispute(self.floor.markets[market], now_ns)

    def set_grid(
        self, market: str, structure: str, bands: Sequence[tuple[int, int, int]], now_ns: int
    ) -> None:
        """Change a market's price grid to ``(start, end, step)`` bands."""
        self._due(now_ns)
        self.life.set_grid(self.floor.markets[market], structure, grid_of_steps(*bands), now_ns)

    def set_active(self, market: str, now_ns: int, *, is_active: bool) -> None:
        """Deactivate or reactivate a market."""
        self._due(now_ns)
        self.life.set_active(self.floor.markets[market], now_ns, is_active=is_active)

    def set_fee(self, event: str, fee_type: str | None, multiplier_e4: int | None, now_ns: int) -> None:
        """Override an event's fees, or clear the override."""
        self._due(now_ns)
        self.life.set_fee(event, fee_type, multiplier_e4, now_ns)

    def announce_fee(  # noqa: PLR0917 - what an announcement says
        self,
        series: str,
        event: str,
        fee_type: str | None,
        multiplier_e4: int | None,
        at_ns: int,
        now_ns: int,
    ) -> FeeChange:
        """Announce new fee terms of a series or, with an event, of its override; they come true in time."""
        self._due(now_ns)
        if event:
            series = self.floor.events[event].series
        assert series in self.floor.series, f"listed series, was {series}"
        assert event or (fee_type and multiplier_e4 is not None), "terms of a series, were none"
        change = FeeChange(self.floor.ids.next(), series, event, fee_type, multiplier_e4, at_ns)
        self.floor.announced.fee_changes[change.change_id] = change
        self.floor.agenda.put(at_ns, Due.FEE, change.change_id)
        self._due(now_ns)
        return change

    def set_trading_pause(self, shards: Sequence[int], now_ns: int, *, is_paused: bool) -> None:
        """Pause or resume trading on shards; a pause cancels orders that asked for it."""
        self._due(now_ns)
        if not is_paused:
            self.floor.trading_paused.difference_update(shards)
            return
        self.floor.trading_paused.update(shards)
        for market in self.floor.markets.values():
            if market.shard in shards:
                self.life.cancel_all_of(market, Reason.HALT_CANCEL, now_ns, only_on_pause=True)

    def set_exchange_pause(self, shards: Sequence[int], now_ns: int, *, is_paused: bool) -> None:
        """Pause or resume shards as a whole: nothing works, not even cancels."""
        if is_paused:
            self.set_trading_pause(shards, now_ns, is_paused=True)
            self.floor.exchange_paused.update(shards)
        else:
            self.floor.exchange_paused.difference_update(shards)
            self.set_trading_pause(shards, now_ns, is_paused=False)

    def set_read_lag(self, lag_ns: int, now_ns: int) -> None:
        """Answer reads of orders, fills, positions and balances this late."""
        self._due(now_ns)
        self.floor.reads.set_lag(lag_ns, self.floor.accounts.values())

    # Out ---------------------------------------------------------------------------------------------

    def drain(self) -> list[Event]:
        """Return everything that happened since the last drain, in order."""
        events, self.floor.outbox = self.floor.outbox, []
        return events

    def residual_e6(self) -> int:
        """Return the money out of nowhere; 0 always."""
        return self._clearing.residual_e6()

    def _due(self, now_ns: int) -> None:
        floor = self.floor
        floor.now_ns = max(floor.now_ns, now_ns)
        while (reminder := floor.agenda.pop_due(now_ns)) is not None:
            due_ns, due, key = reminder
            if due in {Due.TRANSFER, Due.FUNDING}:
                self.bank.handle(due, key, due_ns)
                continue
            if due is Due.FEE:
                self.life.come_true(floor.announced.fee_changes[key], now_ns)
                continue
            self.life.handle(due, key, due_ns, now_ns)
