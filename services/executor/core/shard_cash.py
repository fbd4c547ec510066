"""What cash is free on each shard: the venue's balance, less what was paid since and what orders hold back.

The venue does not subtract resting orders from the balance it tells (kalshi-api 16.1),
and reads lag writes, so a balance may or may not know of a payment that we made just
before asking. It counts as not knowing: for a moment too little is free, never too
much. Money that comes in counts once the venue's own word has it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class ShardCash:
    """Cash of one account by shard.

    Attributes:
        read_lag_ns: A payment made so long before a balance was asked for is in it.
        asked_ns: When the newest balance was asked for, None before the first.
    """

    read_lag_ns: int = 1_000_000_000
    asked_ns: int | None = None
    _told_e6: dict[int, int] = field(default_factory=dict)
    _total_e6: int = 0
    _paid: deque[tuple[int, int, int]] = field(default_factory=deque)
    _paid_e6: Counter[int] = field(default_factory=Counter)

    def on_balance(self, by_shard: Mapping[int, int], total_e6: int, asked_ns: int) -> None:
        """Take the venue's word, unless a newer one is held.

        A shard that it does not name holds nothing for us: an order there would be refused.
        """
        if self.asked_ns is not None and asked_ns < self.asked_ns:
            return
        self._told_e6, self._total_e6, self.asked_ns = dict(by_shard), total_e6, asked_ns
        while self._paid and self._paid[0][0] < asked_ns - self.read_lag_ns:
            _, shard, paid_e6 = self._paid.popleft()
            self._paid_e6[shard] -= paid_e6

    def on_flow(self, shard: int | None, change_e6: int, now_ns: int) -> None:
        """Take a change of cash by fills or settlements; what comes in is left to the venue's word.

        Before the first balance nothing may be opened, so what was paid until then is in it.
        """
        if self.asked_ns is not None and shard is not None and change_e6 < 0:
            self._paid.append((now_ns, shard, -change_e6))
            self._paid_e6[shard] -= change_e6

    def free_e6(self, shard: int | None, reserved_e6: int) -> int | None:
        """Return what a new order on the shard may cost, None while no balance names the shard."""
        if self.asked_ns is None or shard is None or shard not in self._told_e6:
            return None
        return self._told_e6[shard] - self._paid_e6[shard] - reserved_e6

    @property
    def total_e6(self) -> int | None:
        """Return the cash of all shards less what was paid since, None before the first balance."""
        return None if self.asked_ns is None else self._total_e6 - self._paid_e6.total()

    def age_ms(self, now_ns: int) -> int | None:
        """Return the balance's age, None before the first."""
        return None if self.asked_ns is None else (now_ns - self.asked_ns) // 1_000_000
