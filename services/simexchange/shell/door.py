"""What every handler shares: the venue, the budgets of its accounts, and who is billed for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from services.simexchange.core.accounts import Account
from services.simexchange.core.budget import COST_DEFAULT, TIERS, AccountBudget
from services.simexchange.core.venue import Venue
from services.simexchange.shell.reply import TOO_MANY, Call, Reply, ReplyError

Handler = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    Attributes:
        template: Path below ``/trade-api/v2``; ``{}`` stands for one segment.
        is_public: No signature needed.
        cost: Tokens of the read bucket billed at the door; 0 where the handler bills by itself.
        scope: Which key scope covers it where it is a write.
    """

    method: str
    template: str
    handler: Handler
    is_public: bool = False
    cost: int = COST_DEFAULT
    scope: str = "write::trade"


@dataclass(slots=True)
class Door:
    """The venue and the budgets of its accounts."""

    venue: Venue
    budgets: dict[str, AccountBudget] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)

    def account(self, call: Call) -> Account:
        """Return the calling account."""
        return self.venue.floor.accounts[call.account]

    def budget(self, name: str, now_ns: int) -> AccountBudget:
        """Return an account's buckets; they are full when it, or its tier, is first seen."""
        found = self.budgets.get(name)
        if found is None or found.tier.name != self.venue.floor.accounts[name].tier:
            tier = TIERS[self.venue.floor.accounts[name].tier]
            found = self.budgets[name] = AccountBudget(tier, now_ns)
        return found

    def bill_write(self, call: Call, cost: int, shard: int | None) -> None:
        """Bill a write to a shard (None: routed by market, so to all).

        Raises:
            ReplyError: A bucket is short; nothing was done.
        """
        shards = self.venue.floor.shards if shard is None or shard < 0 else ()
        if not self.budget(call.account, call.now_ns).spend_write(cost, shard, shards, call.now_ns):
            raise ReplyError(TOO_MANY, "too_many_requests")

    def bill_read(self, call: Call, cost: int) -> None:
        """Bill a read.

        Raises:
            ReplyError: The bucket is short.
        """
        if not self.budget(call.account, call.now_ns).spend_read(cost, call.now_ns):
            raise ReplyError(TOO_MANY, "too_many_requests")

    def bill_balance(self, call: Call) -> None:
        """Bill a look at the balance, which has a bucket of its own.

        Raises:
            ReplyError: The bucket is short.
        """
        if not self.budget(call.account, call.now_ns).spend_balance(call.now_ns):
            raise ReplyError(TOO_MANY, "too_many_requests")
