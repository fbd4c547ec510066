"""The other side of the counter, for tests and the demo: ``/sim/...``, outside the trade API.

Truth (every account's cash, positions and orders, by the venue's own clock),
faults, and the switches a real exchange throws by itself. Loopback only and
unsigned: nothing here exists at the real venue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.common.domain.units import CENT_E6, MalformedNumber, parse_cash_e6, parse_price_e4
from libs.common.runtime.clock import Clock
from services.simexchange.core.accounts import Account
from services.simexchange.core.bank import FundingStatus
from services.simexchange.core.faults import FaultKind, FaultRule
from services.simexchange.core.requests import OrderRef, Rejection
from services.simexchange.core.venue import Venue
from services.simexchange.shell.auth import KeyRing, generate_key
from services.simexchange.shell.bodies_in import CreateOrderV2Request, create_request
from services.simexchange.shell.bodies_out import cancelled_body, order_body, placed_body
from services.simexchange.shell.reply import Reply, ok, refused

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /sim/faults``."""

    kind: FaultKind
    match: str = ""
    count: int = 1
    seconds: float = 0.0
    status: int = 503
    probability: float = 1.0


class Switch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /sim/switch``: one action and what it needs."""

    action: str
    market: str = ""
    event: str = ""
    account: str = ""
    shards: tuple[int, ...] = (0, 1, 2, 3)
    seconds: float = 0.0
    result: str = ""
    value: str | None = None
    structure: str = ""
    bands: tuple[tuple[int, int, int], ...] = ()
    fee_type: str | None = None
    multiplier_e4: int | None = None
    probability: float = 0.0
    amount: str = "0"


class Funded(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /sim/fundings``: a deposit, a withdrawal (negative), or, with an id, the return of one."""

    account: str = ""
    shard: int = 0
    amount: str = "0"
    fee: str = "0"
    seconds: float = 0.0
    becomes: FundingStatus = FundingStatus.APPLIED
    funding_id: str = ""


class ForeignOrder(CreateOrderV2Request, kw_only=True):
    """``POST /sim/orders``: an order placed for an account outside the bot."""

    account: str


class ForeignCancel(msgspec.Struct, kw_only=True):
    """``POST /sim/cancel``."""

    account: str
    order_id: str


class NewAccount(msgspec.Struct, kw_only=True):
    """``POST /sim/accounts``: cash in dollars by shard."""

    name: str
    tier: str = "basic"
    cash: dict[int, str] = {}
    key_type: str = "ed25519"


class AdminFace:
    """Handlers of ``/sim``."""

    def __init__(  # noqa: PLR0917 - what the counter is wired to
        self,
        venue: Venue,
        keys: KeyRing,
        clock: Clock,
        on_change: Callable[[], None],
        progress: Callable[[], Mapping[str, object]] = dict,
        counters: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._venue = venue
        self._keys = keys
        self._clock = clock
        self._on_change = on_change
        self._progress = progress
        self._counters = counters

    def app(self, more: Sequence[Route] = ()) -> Starlette:
        """Return the application, to be asked for paths below ``/sim``; ``more`` are others' routes."""
        posts: dict[str, Callable[[bytes], Reply]] = {
            "faults": self.throw,
            "switch": self.switch,
            "orders": self.place,
            "cancel": self.cancel,
            "accounts": self.open_account,
            "fundings": self.fund,
        }
        routes = [
            Route(f"/sim/{name}", self._post(handler), methods=["POST"]) for name, handler in posts.items()
        ]
        routes += [
            Route("/sim/faults", self._get(lambda _: self.faults()), methods=["GET"]),
            Route("/sim/faults", self._get(lambda _: self.clear()), methods=["DELETE"]),
            Route("/sim/truth", self._get(self.truth), methods=["GET"]),
            Route("/sim/progress", self._get(lambda _: ok(dict(self._progress()))), methods=["GET"]),
            Route("/sim/clock", self._get(lambda _: ok({"now_ns": self._clock.now_ns()})), methods=["GET"]),
        ]
        return Starlette(routes=[*routes, *more])

    def truth(self, query: Mapping[str, str]) -> Reply:
        """Tell what is really so; ``orders=all`` adds orders that ended, ``account=`` keeps to one."""
        self._venue.advance(self._clock.now_ns())
        wanted, is_all = query.get("account"), query.get("orders") == "all"
        accounts = {
            name: self._account(account, is_all=is_all)
            for name, account in self._venue.accounts.items()
            if (not account.is_internal or wanted == name) and wanted in (None, name)
        }
        return ok(
            {
                "now_ms": self._clock.now_ns() // NS_PER_MS,
                "residual_e6": self._venue.residual_e6(),
                "accounts": accounts,
                "counters": dict(self._counters()),
            }
        )

    def throw(self, body: bytes) -> Reply:
        """Throw a fault."""
        fault = msgspec.json.decode(body, type=Fault)
        self._venue.faults.throw(FaultRule(**msgspec.structs.asdict(fault)))
        return self.faults()

    def faults(self) -> Reply:
        """List the faults in force and how often each kind was applied."""
        board = self._venue.faults
        return ok({"rules": board.rules, "applied": board.applied})

    def clear(self) -> Reply:
        """Take back every fault."""
        self._venue.faults.clear()
        return self.faults()

    def switch(self, body: bytes) -> Reply:
        """Throw a switch of the exchange."""
        self._throw(msgspec.json.decode(body, type=Switch), self._clock.now_ns())
        return ok({})

    def place(self, body: bytes) -> Reply:
        """Place an order for an account, unbilled."""
        order = msgspec.json.decode(body, type=ForeignOrder)
        request = create_request(order)
        if isinstance(request, Rejection):
            return refused(request)
        placed = self._venue.create(order.account, request, self._clock.now_ns())
        return refused(placed) if isinstance(placed, Rejection) else ok(placed_body(placed), 201)

    def cancel(self, body: bytes) -> Reply:
        """Cancel an order of an account, unbilled."""
        asked = msgspec.json.decode(body, type=ForeignCancel)
        found = self._venue.floor.orders[asked.order_id]
        ref = OrderRef(asked.order_id, exchange_index=found.shard)
        reduced = self._venue.cancel(asked.account, ref, self._clock.now_ns())
        return refused(reduced) if isinstance(reduced, Rejection) else ok(cancelled_body(reduced))

    def open_account(self, body: bytes) -> Reply:
        """Open an account and hand out its key, once."""
        asked = msgspec.json.decode(body, type=NewAccount)
        cash_e6 = {shard: int(parse_cash_e6(text)) for shard, text in asked.cash.items()}
        self._venue.add_account(
            asked.name, tier=asked.tier, cash_by_shard=cash_e6, now_ns=self._clock.now_ns()
        )
        key = generate_key(self._venue.floor.ids.next(), asked.key_type)
        self._keys.add(key.key_id, asked.name, key.public_pem)
        return ok({"key_id": key.key_id, "private_key": key.private_pem.decode()}, 201)

    def fund(self, body: bytes) -> Reply:
        """Let money come or go by the bank, on record; or return what came or went."""
        asked, now_ns = msgspec.json.decode(body, type=Funded), self._clock.now_ns()
        if asked.funding_id:
            self._venue.give_back(asked.funding_id, now_ns)
            return ok({"funding_id": asked.funding_id})
        amount_e6, fee_e6 = int(parse_cash_e6(asked.amount)), int(parse_cash_e6(asked.fee))
        if amount_e6 % CENT_E6 or fee_e6 % CENT_E6:
            raise ValueError(f"whole cents, was {asked.amount} and {asked.fee}")
        funding = self._venue.fund(
            asked.account,
            asked.shard,
            amount_e6,
            now_ns,
            fee_e6=fee_e6,
            after_ns=int(asked.seconds * NS_PER_S),
            becomes=asked.becomes,
        )
        return ok({"funding_id": funding.funding_id}, 201)

    def _throw(self, switch: Switch, now_ns: int) -> None:
        if not self._throw_on_market(switch, now_ns) and not self._throw_on_exchange(switch, now_ns):
            raise ValueError(f"known switch, was {switch.action!r}")

    def _throw_on_market(self, switch: Switch, now_ns: int) -> bool:
        """Throw a switch of one market or event and return whether it is one."""
        venue, market = self._venue, switch.market
        match switch.action:
            case "deactivate" | "activate":
                venue.set_active(market, now_ns, is_active=switch.action == "activate")
            case "close":
                venue.set_close(market, now_ns + int(switch.seconds * NS_PER_S), now_ns)
            case "determine":
                value_e4 = None if switch.value is None else int(parse_price_e4(switch.value))
                venue.set_result(market, switch.result, now_ns, value_e4=value_e4)
            case "dispute":
                venue.dispute(market, now_ns)
            case "grid":
                venue.set_grid(market, switch.structure, switch.bands, now_ns)
            case "fee":
                venue.set_fee(switch.event, switch.fee_type, switch.multiplier_e4, now_ns)
            case _:
                return False
        return True

    def _throw_on_exchange(self, switch: Switch, now_ns: int) -> bool:
        """Throw a switch of shards, accounts or habits and return whether it is one."""
        venue, shards = self._venue, switch.shards
        match switch.action:
            case "pause_trading" | "resume_trading":
                venue.set_trading_pause(shards, now_ns, is_paused=switch.action == "pause_trading")
            case "pause_exchange" | "resume_exchange":
                venue.set_exchange_pause(shards, now_ns, is_paused=switch.action == "pause_exchange")
            case "read_lag":
                venue.set_read_lag(int(switch.seconds * NS_PER_S), now_ns)
            case "cancel_all_shadow":
                venue.entry.shadow_probability = switch.probability
            case "self_trades":
                venue.entry.prevents_self_trades = not switch.probability
            case "triggered_group_gone":
                venue.groups.is_triggered_group_gone = switch.probability > 0
            case "transfer":
                venue.bank.transfer_ns = int(switch.seconds * NS_PER_S)
                amount_e6 = int(parse_cash_e6(switch.amount))
                made = venue.transfer(switch.account, shards[0], shards[1], amount_e6, now_ns)
                assert not isinstance(made, Rejection), f"accepted transfer, was {made.code}"
            case "transfer_debited_late":
                venue.bank.is_debited_late = switch.probability > 0
            case "deposit":
                venue.deposit(switch.account, shards[0], int(parse_cash_e6(switch.amount)), now_ns)
            case _:
                return False
        return True

    def _account(self, account: Account, *, is_all: bool) -> dict[str, object]:
        orders = account.orders.values()
        return {
            "user_id": account.user_id,
            "tier": account.tier,
            "cash_e6": {str(shard): cash_e6 for shard, cash_e6 in account.cash_e6.items()},
            "fees_e6": sum(position.fees_e6 for position in account.positions.values()),
            "fills": len(account.fills),
            "positions": {
                market: {
                    "qty_e2": position.qty_e2,
                    "cost_e6": position.cost_e6,
                    "realised_e6": position.realised_e6,
                    "fees_e6": position.fees_e6,
                    "is_settled": position.is_settled,
                }
                for market, position in account.positions.items()
            },
            "orders_ever": len(account.orders),
            "refusals": dict(account.refusals),
            "groups": [
                {
                    "id": group.order_group_id,
                    "shard": group.shard,
                    "limit_e2": group.limit_e2,
                    "is_triggered": group.is_triggered,
                    "resets": group.resets,
                }
                for group in self._venue.groups.of(account.name)
            ],
            "orders": [
                order_body(order, account)
                | {
                    "created_ns": order.created_ns,
                    "updated_ns": order.updated_ns,
                    "reason": order.reason.value,
                }
                for order in orders
                if is_all or order.is_resting
            ],
        }

    def _post(self, handler: Callable[[bytes], Reply]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                reply = handler(body)
            except (msgspec.DecodeError, MalformedNumber, ValueError, KeyError, AssertionError) as e:
                # Whoever drives the simulator should read what was wrong with the order of the day.
                reply = ok({"error": f"{type(e).__name__}: {e}"}, 400)
            self._on_change()
            return _response(reply)

        return endpoint

    def _get(self, handler: Callable[[Mapping[str, str]], Reply]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            reply = handler(request.query_params)
            self._on_change()
            return _response(reply)

        return endpoint


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, media_type=reply.content_type.decode())
