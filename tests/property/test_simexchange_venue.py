"""The whole venue under random trading: money is conserved, and every telling agrees with the state."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4
from services.simexchange.core.collateral import Collateral, CollateralPolicy
from services.simexchange.core.events import Filled, LevelChanged, OrderChanged, PositionChanged
from services.simexchange.core.orders import Order, SelfTradePrevention, TimeInForce
from services.simexchange.core.requests import AmendRequest, DecreaseRequest, OrderRef
from tests.support.venue_core import MARKET, NS_PER_S, OTHER_MARKET, Pit

ACCOUNTS = st.sampled_from(["alice", "bob"])
MARKETS = st.sampled_from([MARKET, OTHER_MARKET])
SIDES = st.sampled_from(Side)
PRICES = st.integers(1, 9).map(lambda step: step * 1000)
SIZES = st.integers(1, 3000)
KINDS: dict[str, dict[str, object]] = {
    "plain": {},
    "expiring": {},
    "immediate": {"tif": TimeInForce.IMMEDIATE_OR_CANCEL},
    "all or nothing": {"tif": TimeInForce.FILL_OR_KILL},
    "post only": {"post_only": True},
    "reducing": {"tif": TimeInForce.IMMEDIATE_OR_CANCEL, "reduce_only": True},
    "over own": {"stp": SelfTradePrevention.MAKER},
}
ORDERS = st.tuples(ACCOUNTS, MARKETS, SIDES, PRICES, SIZES, st.sampled_from([*KINDS]), st.booleans())


class VenueConserves(RuleBasedStateMachine):
    """Two accounts with little money trade two markets every way there is."""

    def __init__(self) -> None:
        super().__init__()
        self.pit = Pit(cash_e6=40_000_000, seconds=3000, fee_type="quadratic_with_maker_fees")
        self.levels: dict[tuple[str, Side, int], int] = defaultdict(int)
        self.told: dict[str, Order] = {}
        self.positions: dict[tuple[str, str], int] = defaultdict(int)
        self.group = self.pit.venue.groups.create("alice", 0, 5000, self.pit.now_ns)
        self.listen()

    @rule(orders=st.lists(ORDERS, min_size=3, max_size=12))
    def create(self, orders: list[tuple[str, str, Side, int, int, str, bool]]) -> None:
        for account, market, side, price_e4, qty_e2, kind, is_grouped in orders:
            group = getattr(self.group, "order_group_id", "") if is_grouped and account == "alice" else ""
            facts = KINDS[kind] | ({"order_group_id": group} if group else {})
            if kind == "expiring":
                facts |= {"expires_s": self.pit.now_ns // NS_PER_S + 20}
            self.pit.send(account, side, price_e4, qty_e2, market=market, **facts)
            self.listen()

    @rule(data=st.data(), price_e4=PRICES, total_e2=SIZES)
    def amend(self, data: st.DataObject, price_e4: int, total_e2: int) -> None:
        order = self.pick(data)
        if order is not None:
            ref = OrderRef(order.order_id, order.market)
            self.pit.venue.amend(
                order.account, AmendRequest(ref, order.side, price_e4, total_e2), self.pit.now_ns
            )
            self.listen()

    @rule(data=st.data(), by_e2=SIZES)
    def decrease(self, data: st.DataObject, by_e2: int) -> None:
        order = self.pick(data)
        if order is not None:
            request = DecreaseRequest(OrderRef(order.order_id), reduce_by_e2=by_e2)
            self.pit.venue.decrease(order.account, request, self.pit.now_ns)
            self.listen()

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = self.pick(data)
        if order is not None:
            self.pit.cancel(order.account, order)
            self.listen()

    @rule(account=ACCOUNTS)
    def cancel_all(self, account: str) -> None:
        self.pit.venue.cancel_all(account, self.pit.now_ns)
        self.listen()

    @precondition(lambda self: len(self.told) > 8)
    @rule(market=MARKETS, is_active=st.sampled_from([True, True, False]))
    def pause(self, market: str, is_active: bool) -> None:
        self.pit.venue.set_active(market, self.pit.now_ns, is_active=is_active)
        self.listen()

    @rule()
    def reset_group(self) -> None:
        self.pit.venue.groups.reset("alice", getattr(self.group, "order_group_id", ""), 0, self.pit.now_ns)

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.pit.wait(seconds)
        self.listen()

    @precondition(lambda self: len(self.told) > 30)
    @rule(market=MARKETS, value_e4=st.integers(0, DOLLAR_E4))
    def settle(self, market: str, value_e4: int) -> None:
        self.pit.venue.set_close(market, self.pit.now_ns, self.pit.now_ns)
        if not self.pit.venue.markets[market].result:
            self.pit.venue.set_result(market, "scalar", self.pit.now_ns, value_e4=value_e4)
        self.pit.wait(11)
        self.listen()

    @invariant()
    def no_money_comes_from_nowhere(self) -> None:
        assert self.pit.venue.residual_e6() == 0

    @invariant()
    def every_contract_has_two_sides(self) -> None:
        for market in (MARKET, OTHER_MARKET):
            assert self.pit.position("alice", market) + self.pit.position("bob", market) == 0

    @invariant()
    def balances_stay_on_whole_ten_thousandths(self) -> None:
        assert self.pit.cash("alice") % 100 == self.pit.cash("bob") % 100 == 0

    @invariant()
    def the_told_book_is_the_book(self) -> None:
        for name in (MARKET, OTHER_MARKET):
            for side in Side:
                shown = {
                    price: qty for (m, s, price), qty in self.levels.items() if (m, s) == (name, side) and qty
                }
                assert shown == dict(self.pit.venue.markets[name].book.displayed(side))

    @invariant()
    def the_told_orders_are_the_orders(self) -> None:
        orders = self.pit.venue.floor.orders
        assert set(self.told) == set(orders)
        for order_id, told in self.told.items():
            live = orders[order_id]
            facts = (
                "status",
                "price_e4",
                "remaining_e2",
                "filled_e2",
                "initial_e2",
                "expires_ns",
                "taker_fees_e6",
            )
            assert [getattr(told, fact) for fact in facts] == [getattr(live, fact) for fact in facts]

    @invariant()
    def reservations_are_what_counting_anew_gives(self) -> None:
        floor = self.pit.venue.floor
        for account in (floor.accounts["alice"], floor.accounts["bob"]):
            kept_e6 = floor.collateral.reserved_e6(account, 0)
            account.reservations_dirty.update([MARKET, OTHER_MARKET])
            assert Collateral(CollateralPolicy.SUM).reserved_e6(account, 0) == kept_e6

    def pick(self, data: st.DataObject) -> Order | None:
        resting = [order for order in self.pit.venue.floor.orders.values() if order.is_resting]
        return data.draw(st.sampled_from(resting)) if resting else None

    def listen(self) -> None:
        """Keep what a listener of the feed would believe."""
        for event in self.pit.events():
            match event:
                case LevelChanged():
                    self.levels[event.market, event.side, event.price_e4] += event.change_e2
                    assert self.levels[event.market, event.side, event.price_e4] >= 0
                case OrderChanged():
                    self.told[event.order.order_id] = event.order
                case Filled():
                    self.positions[event.account, event.market] += event.side.sign * event.qty_e2
                    assert self.positions[event.account, event.market] == event.position_after_e2
                case PositionChanged() if event.qty_e2 == 0:
                    self.positions[event.account, event.market] = 0
                case _:
                    pass


VenueConserves.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestVenueConserves = VenueConserves.TestCase
