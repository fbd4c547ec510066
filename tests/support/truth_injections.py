"""Every way of ours to make one of three witnesses lie, or to trade behind the executor's back.

An injection sets a lens, does what makes the lie visible, and says what the
reconciler must call it: the kind, who stands alone, and what its text names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from libs.common.kalshi.model import VenueBalance, VenueFill, VenueOrder, VenuePosition
from libs.common.messages.base import Wire
from libs.common.messages.execution import FillV1, OrderState, OrderV1, PositionV1
from services.reconciler.core.listing_view import Listing
from tests.support.truth_builders import client_id
from tests.support.truth_world import STRAY_BATCH, Frame, TruthWorld

EXECUTOR, DROP_COPY, LISTING, NOBODY = "executor", "drop_copy", "listing", ""


@dataclass(frozen=True)
class Expected:
    """What the reconciler must say.

    Attributes:
        kind: Of one of the drifts.
        odd_one_out: Of the same; no drift may name another witness.
        word: Part of its key or market.
        actions: One of them.
    """

    kind: str
    odd_one_out: str
    word: str
    actions: tuple[str, ...]

    @property
    def halts_in_time(self) -> bool:
        """Return whether it must halt once it has lasted a cycle longer."""
        if self.kind == "fill":
            return self.odd_one_out == EXECUTOR
        return self.kind in ("position", "cash") and self.odd_one_out != DROP_COPY


Injection = Callable[[TruthWorld], Expected]


# Somebody else's hand ----------------------------------------------------------------------------------


def foreign_order(world: TruthWorld) -> Expected:
    """An order placed outside, without any id of ours."""
    name = f"by-hand-{world.chance.randrange(10**9)}" if world.chance.random() < 0.7 else ""
    order = world.rest_as(name)
    return Expected("foreign_order", NOBODY, name or f"#{order.order_id}", ("alert",))


def stray_order(world: TruthWorld) -> Expected:
    """An order with our prefix and this epoch that the executor never sent."""
    name = client_id(STRAY_BATCH + world.chance.randrange(10**6))
    world.rest_as(name)
    return Expected("orders_only_exchange", EXECUTOR, name, ("cancel",))


def inherited_order(world: TruthWorld) -> Expected:
    """An order of an epoch before this one, that nobody cleared away."""
    name = client_id(world.chance.randrange(10**6), epoch=0)
    world.rest_as(name)
    return Expected("orders_only_exchange", EXECUTOR, name, ("adopt",))


# Orders ------------------------------------------------------------------------------------------------


def executor_loses_order(world: TruthWorld) -> Expected:
    """The record of an order that rests is lost."""
    name = world.next_id()
    world.executor_lens = _orders(lambda order: () if order.client_order_id == name else (order,))
    world.rest_as(name)
    return Expected("orders_only_exchange", EXECUTOR, name, ("cancel",))


def executor_loses_end(world: TruthWorld) -> Expected:
    """The record of an order's end is lost."""
    order = _resting(world)
    world.executor_lens = _orders(
        lambda told: () if told.order_id == order and told.state is OrderState.CANCELLED else (told,)
    )
    world.cancel(world.pit.venue.floor.orders[order])
    return Expected("orders_only_local", EXECUTOR, _name(world, order), ("alert", "halt"))


def executor_invents_order(world: TruthWorld) -> Expected:
    """A record of an order that never was."""
    order = _resting(world)
    sample = next(m for m in reversed(world.record) if isinstance(m, OrderV1) and m.order_id == order)
    name = world.next_id()
    world.tell(msgspec.structs.replace(sample, client_order_id=name, order_id=f"phantom-{name}", version=1))
    return Expected("orders_only_local", EXECUTOR, name, ("alert", "halt"))


def executor_mistakes_price(world: TruthWorld) -> Expected:
    """A record with another price than the order's."""
    return _mistaken(world, lambda told: {"price_e4": told.price_e4 + 100})


def executor_mistakes_remaining(world: TruthWorld) -> Expected:
    """A record with another remaining quantity than the order's."""
    return _mistaken(world, lambda told: {"remaining_e2": told.remaining_e2 - world.chance.randint(1, 100)})


def feed_loses_order(world: TruthWorld) -> Expected:
    """A frame about a new order is lost."""
    name = world.next_id()
    world.feed_lens = _frames("user_order", lambda msg: () if msg["client_order_id"] == name else (msg,))
    world.rest_as(name)
    return Expected("order", DROP_COPY, name, ("alert",))


def feed_loses_end(world: TruthWorld) -> Expected:
    """A frame about an order's end is lost."""
    order = _resting(world)
    world.feed_lens = _frames(
        "user_order", lambda msg: () if msg["order_id"] == order and msg["status"] == "canceled" else (msg,)
    )
    world.cancel(world.pit.venue.floor.orders[order])
    return Expected("order", DROP_COPY, _name(world, order), ("alert",))


def feed_invents_order(world: TruthWorld) -> Expected:
    """A frame about an order that never was."""
    name = world.next_id()
    world.feed_lens = _frames(
        "user_order", lambda msg: (msg, msg | {"order_id": f"phantom-{name}", "client_order_id": name})
    )
    world.rest()
    return Expected("order", DROP_COPY, name, ("alert",))


def feed_mistakes_price(world: TruthWorld) -> Expected:
    """A frame with another price."""
    return _feed_mistaken(world, {"yes_price_dollars": "0.5000"})


def feed_mistakes_remaining(world: TruthWorld) -> Expected:
    """A frame with another remaining quantity."""
    return _feed_mistaken(world, {"remaining_count_fp": "0.07"})


def listing_loses_order(world: TruthWorld) -> Expected:
    """The listing lacks an order that rests."""
    order = _resting(world)
    world.listing_lens = _listed_orders(lambda one: () if one.order_id == order else (one,))
    return Expected("orders_only_local", LISTING, _name(world, order), ("alert",))


def listing_invents_order(world: TruthWorld) -> Expected:
    """The listing shows an order that never was."""
    order, name = _resting(world), world.next_id()
    began_ms = world.now_ms
    world.listing_lens = _listed_orders(
        lambda one: (
            (one, replace(one, order_id=f"phantom-{name}", client_order_id=name, updated_ms=began_ms))
            if one.order_id == order
            else (one,)
        )
    )
    return Expected("orders_only_exchange", LISTING, name, ("alert",))


def listing_mistakes_price(world: TruthWorld) -> Expected:
    """The listing shows another price."""
    return _listing_mistaken(world, lambda one: replace(one, price_e4=one.price_e4 + 100))


def listing_mistakes_remaining(world: TruthWorld) -> Expected:
    """The listing shows another remaining quantity."""
    return _listing_mistaken(world, lambda one: replace(one, remaining_e2=one.remaining_e2 + 1))


# Fills -------------------------------------------------------------------------------------------------


def executor_loses_fill(world: TruthWorld) -> Expected:
    """A fill is not recorded."""
    return _executor_fill(world, lambda _: ())


def executor_doubles_fill(world: TruthWorld) -> Expected:
    """A fill is recorded twice, under two names."""
    return _executor_fill(
        world, lambda fill: (fill, msgspec.structs.replace(fill, trade_id=f"{fill.trade_id}-again"))
    )


def executor_mistakes_fee(world: TruthWorld) -> Expected:
    """A fill is recorded with another fee."""
    return _executor_fill(world, lambda fill: (msgspec.structs.replace(fill, fee_e6=fill.fee_e6 + 1),))


def executor_mistakes_fill_price(world: TruthWorld) -> Expected:
    """A fill is recorded at another price."""
    return _executor_fill(world, lambda fill: (msgspec.structs.replace(fill, price_e4=fill.price_e4 + 1),))


def executor_mistakes_fill_quantity(world: TruthWorld) -> Expected:
    """A fill is recorded with another quantity."""
    return _executor_fill(world, lambda fill: (msgspec.structs.replace(fill, qty_e2=fill.qty_e2 + 1),))


def feed_loses_fill(world: TruthWorld) -> Expected:
    """The frame of a fill is lost."""
    return _feed_fill(world, lambda _: ())


def feed_doubles_fill(world: TruthWorld) -> Expected:
    """The frame of a fill comes twice, under two names."""
    return _feed_fill(world, lambda msg: (msg, msg | {"trade_id": f"{msg['trade_id']}-again"}))


def feed_mistakes_fee(world: TruthWorld) -> Expected:
    """The frame of a fill has another fee."""
    return _feed_fill(world, lambda msg: (msg | {"fee_cost": "0.777777"},))


def feed_mistakes_fill_side(world: TruthWorld) -> Expected:
    """The frame of a fill has the other side."""

    def turned(msg: Frame) -> Iterable[Frame]:
        is_bid = msg["book_side"] == "bid"
        return (msg | {"book_side": "ask" if is_bid else "bid", "outcome_side": "no" if is_bid else "yes"},)

    return _feed_fill(world, turned)


def listing_loses_fill(world: TruthWorld) -> Expected:
    """The listing lacks a fill."""
    return _listing_fill(world, lambda _: ())


def listing_doubles_fill(world: TruthWorld) -> Expected:
    """The listing has a fill twice, under two names."""
    return _listing_fill(world, lambda fill: (fill, replace(fill, trade_id=f"{fill.trade_id}-again")))


def listing_mistakes_fee(world: TruthWorld) -> Expected:
    """The listing shows another fee."""
    return _listing_fill(world, lambda fill: (replace(fill, fee_e6=fill.fee_e6 + 100),))


# Positions and money -----------------------------------------------------------------------------------


def executor_mistakes_position(world: TruthWorld) -> Expected:
    """The executor claims a position that is not there, or another than is."""
    market, off_e2 = world.chance.choice(world.markets), world.chance.choice((-100, 1, 250))
    world.executor_lens = _claims(market, lambda qty_e2: qty_e2 + off_e2)
    return Expected("position", EXECUTOR, market, ("alert",))


def executor_denies_position(world: TruthWorld) -> Expected:
    """The executor says flat where the venue holds something."""
    market = _held(world)
    world.executor_lens = _claims(market, lambda _: 0)
    return Expected("position", EXECUTOR, market, ("alert",))


def feed_mistakes_position(world: TruthWorld) -> Expected:
    """The feed tells another position."""
    market = world.chance.choice(world.markets)

    def lens(frame: Frame) -> Iterable[Frame]:
        msg = frame.get("msg")
        if not isinstance(msg, dict) or msg.get("market_ticker") != market:
            return (frame,)
        wrong = {name: "777.00" for name in ("position_fp", "post_position_fp") if name in msg}
        return (frame | {"msg": msg | wrong},)

    world.feed_lens = lens
    world.filled(market)
    return Expected("position", DROP_COPY, market, ("alert",))


def listing_mistakes_position(world: TruthWorld) -> Expected:
    """The listing shows another position."""
    market, off_e2 = _held(world), world.chance.choice((-100, 1, 250))
    world.listing_lens = _listed_positions(
        lambda one: (replace(one, qty_e2=one.qty_e2 + off_e2),) if one.market == market else (one,)
    )
    return Expected("position", LISTING, market, ("alert",))


def listing_loses_position(world: TruthWorld) -> Expected:
    """The listing lacks a position."""
    market = _held(world)
    world.listing_lens = _listed_positions(lambda one: () if one.market == market else (one,))
    return Expected("position", LISTING, market, ("alert",))


def executor_keeps_settled_position(world: TruthWorld) -> Expected:
    """A market settles and the executor goes on claiming what it held there."""
    market = _held(world)
    held_e2 = world.position_e2(market)
    world.executor_lens = _claims(market, lambda _: held_e2)
    world.settle(market, world.chance.choice(("yes", "no")))
    return Expected("position", EXECUTOR, market, ("alert",))


def listing_keeps_settled_position(world: TruthWorld) -> Expected:
    """A market settles and the listing goes on showing what was held there."""
    market = _held(world)
    before = world.listing(None).positions
    held = next(one for one in before if one.market == market)

    def lens(listing: Listing) -> Listing:
        others = tuple(one for one in listing.positions if one.market != market)
        return replace(listing, positions=(*others, held))

    world.listing_lens = lens
    world.settle(market, world.chance.choice(("yes", "no")))
    return Expected("position", LISTING, market, ("alert",))


def listing_mistakes_settled_quantity(world: TruthWorld) -> Expected:
    """A settlement names another quantity than was held."""
    market = _held(world)

    def lens(listing: Listing) -> Listing:
        wrong = tuple(
            replace(one, yes_e2=one.yes_e2 + 100) if one.market == market else one
            for one in listing.settlements
        )
        return replace(listing, settlements=wrong)

    world.listing_lens = lens
    world.settle(market)
    return Expected("position", LISTING, f"{market}/settlement", ("alert",))


def listing_mistakes_balance(world: TruthWorld) -> Expected:
    """Money is missing, or too much."""
    off_e6 = world.chance.choice((-1_000_000, -100, 100, 5_000_000))

    def lens(listing: Listing) -> Listing:
        balance = listing.balance
        assert balance is not None
        by_shard = dict(balance.by_shard)
        by_shard[0] = by_shard.get(0, 0) + off_e6
        return replace(listing, balance=VenueBalance(balance.total_e6 + off_e6, by_shard, balance.updated_ms))

    world.listing_lens = lens
    return Expected("cash", LISTING, "", ("alert",))


# How -----------------------------------------------------------------------------------------------------


def _orders(change: Callable[[OrderV1], Iterable[OrderV1]]) -> Callable[[Wire], Iterable[Wire]]:
    return lambda told: change(told) if isinstance(told, OrderV1) else (told,)


def _claims(market: str, change: Callable[[int], int]) -> Callable[[Wire], Iterable[Wire]]:
    def lens(told: Wire) -> Iterable[Wire]:
        if isinstance(told, PositionV1) and told.market == market:
            return (msgspec.structs.replace(told, qty_e2=change(told.qty_e2)),)
        return (told,)

    return lens


def _frames(kind: str, change: Callable[[Any], Iterable[Any]]) -> Callable[[Frame], Iterable[Frame]]:
    def lens(frame: Frame) -> Iterable[Frame]:
        if frame["type"] != kind:
            return (frame,)
        return [frame | {"msg": msg} for msg in change(frame["msg"])]

    return lens


def _listed_orders(change: Callable[[VenueOrder], Iterable[VenueOrder]]) -> Callable[[Listing], Listing]:
    return lambda listing: replace(
        listing, orders=tuple(told for one in listing.orders for told in change(one))
    )


def _listed_positions(
    change: Callable[[VenuePosition], Iterable[VenuePosition]],
) -> Callable[[Listing], Listing]:
    return lambda listing: replace(
        listing, positions=tuple(told for one in listing.positions for told in change(one))
    )


def _resting(world: TruthWorld) -> str:
    """Return the id of an order of ours that has rested for a while."""
    order = world.rest()
    world.run(3)
    return order.order_id


def _name(world: TruthWorld, order_id: str) -> str:
    return world.pit.venue.floor.orders[order_id].client_order_id


def _held(world: TruthWorld) -> str:
    """Return a market in which something is held, and has been for a while."""
    market = world.chance.choice(world.markets)
    while not world.position_e2(market):
        world.filled(market)
    world.run(5)
    return market


def _mistaken(world: TruthWorld, wrong: Callable[[OrderV1], dict[str, int]]) -> Expected:
    name = world.next_id()
    world.executor_lens = _orders(
        lambda told: (
            (msgspec.structs.replace(told, **wrong(told)),) if told.client_order_id == name else (told,)
        )
    )
    world.rest_as(name)
    return Expected("order", EXECUTOR, name, ("alert", "halt"))


def _feed_mistaken(world: TruthWorld, wrong: Frame) -> Expected:
    name = world.next_id()
    world.feed_lens = _frames(
        "user_order", lambda msg: (msg | wrong if msg["client_order_id"] == name else msg,)
    )
    world.rest_as(name)
    return Expected("order", DROP_COPY, name, ("alert",))


def _listing_mistaken(world: TruthWorld, wrong: Callable[[VenueOrder], VenueOrder]) -> Expected:
    order = _resting(world)
    world.listing_lens = _listed_orders(lambda one: (wrong(one) if one.order_id == order else one,))
    return Expected("order", LISTING, _name(world, order), ("alert",))


def _executor_fill(world: TruthWorld, change: Callable[[FillV1], Iterable[FillV1]]) -> Expected:
    name = world.next_id()
    world.executor_lens = lambda told: (
        change(told) if isinstance(told, FillV1) and told.client_order_id == name else (told,)
    )
    order = world.filled(client_order_id=name)
    return Expected("fill", EXECUTOR, order.order_id, ("alert",))


def _feed_fill(world: TruthWorld, change: Callable[[Any], Iterable[Any]]) -> Expected:
    name = world.next_id()
    world.feed_lens = _frames(
        "fill", lambda msg: change(msg) if msg.get("client_order_id") == name else (msg,)
    )
    order = world.filled(client_order_id=name)
    return Expected("fill", DROP_COPY, order.order_id, ("alert",))


def _listing_fill(world: TruthWorld, change: Callable[[VenueFill], Iterable[VenueFill]]) -> Expected:
    known = len(world.pit.venue.accounts["alice"].fills)
    ids: set[str] = set()

    def lens(listing: Listing) -> Listing:
        ids.update(fill.order_id for fill in world.pit.venue.accounts["alice"].fills[known : known + 1])
        return replace(
            listing,
            fills=tuple(
                told for fill in listing.fills for told in (change(fill) if fill.order_id in ids else (fill,))
            ),
        )

    world.listing_lens = lens
    order = world.filled()
    return Expected("fill", LISTING, order.order_id, ("alert",))


INJECTIONS: tuple[Injection, ...] = (
    foreign_order,
    stray_order,
    inherited_order,
    executor_loses_order,
    executor_loses_end,
    executor_invents_order,
    executor_mistakes_price,
    executor_mistakes_remaining,
    feed_loses_order,
    feed_loses_end,
    feed_invents_order,
    feed_mistakes_price,
    feed_mistakes_remaining,
    listing_loses_order,
    listing_invents_order,
    listing_mistakes_price,
    listing_mistakes_remaining,
    executor_loses_fill,
    executor_doubles_fill,
    executor_mistakes_fee,
    executor_mistakes_fill_price,
    executor_mistakes_fill_quantity,
    feed_loses_fill,
    feed_doubles_fill,
    feed_mistakes_fee,
    feed_mistakes_fill_side,
    listing_loses_fill,
    listing_doubles_fill,
    listing_mistakes_fee,
    executor_mistakes_position,
    executor_denies_position,
    feed_mistakes_position,
    listing_mistakes_position,
    listing_loses_position,
    executor_keeps_settled_position,
    listing_keeps_settled_position,
    listing_mistakes_settled_quantity,
    listing_mistakes_balance,
)

MENDED_IN_PLACE = (
    foreign_order,
    stray_order,
    inherited_order,
    listing_loses_order,
    listing_invents_order,
    listing_mistakes_price,
    listing_mistakes_remaining,
    executor_mistakes_position,
    executor_denies_position,
    listing_mistakes_position,
    listing_loses_position,
    executor_keeps_settled_position,
    listing_keeps_settled_position,
    listing_mistakes_balance,
)
"""After these the same reconciler agrees again once the truth is told; after others it must start anew."""
