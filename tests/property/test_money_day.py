"""Acceptance: a simulated day of 100,000 fills after which nobody misses a contract or a ten-thousandth.

Settlements with parts of cents, a dispute, corrections after the payout, partial
fills on both sides, fees with their rounding, four shards, transfers, deposits and
withdrawals. At every checkpoint the venue's core, the executor's positions, the
reconciler's proof and the riskguard's account are compared to the last unit.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.messages.market import MarketState
from libs.common.messages.risk import ReconResultV1
from services.simexchange.core.bank import FundingStatus
from tests.support.money_day import HOUR_S, OURS, MoneyDay

HOURS = 24
CHECK_S = 600
FILLS = 100_000
SHARDS = (0, 1, 2, 3)
OWN_LAG = re.compile(r"settling: position \S+: executor \S+, drop copy (\S+), listing \1")


@dataclass
class Script:
    """What happens in a day beside trading; every hour has markets that end."""

    day: MoneyDay
    chance: random.Random
    disputed: dict[str, int] = field(default_factory=dict)
    """Market to the hour at which it is determined again."""
    corrected: dict[str, int] = field(default_factory=dict)
    """Paid-out market to the hour at which its result is corrected."""
    returned: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def begin_hour(self, hour: int) -> None:
        """Determine what closed, dispute one, correct another, and list new markets."""
        venue, now_ns = self.day.venue, self.day.clock.now_ns()
        ended = [m for m, one in venue.markets.items() if one.state is MarketState.CLOSED and not one.result]
        for number, market in enumerate(ended):
            self._determine(market)
            if number == 0 and hour % 3 == 1:
                venue.dispute(market, now_ns)
                self.disputed[market] = hour + 1
                self.counts["disputes"] += 1
            if number == 1 and hour % 4 == 1:
                self.corrected[market] = hour + 2
        for market in [m for m, due in self.disputed.items() if due <= hour]:
            del self.disputed[market]
            self._determine(market)
            self.counts["amended"] += 1
        for market in [m for m, due in self.corrected.items() if due <= hour]:
            del self.corrected[market]
            self._determine(market)
            self.counts["corrected"] += 1
            if self.counts["corrected"] == 2:
                self.corrected[market] = hour + 1  # and once more
        self.day.list_hour(hour)

    def between(self, number: int) -> None:
        """Move money before a checkpoint, in such ways that some of it is on the road while all is read."""
        day, chance = self.day, self.chance
        if number % 3 == 0:
            source, target = chance.sample(SHARDS, 2)
            amount_e6 = chance.randrange(1, 10_000_000) * 100
            day.transfer(
                source, target, amount_e6, after_s=chance.choice([2, 400, 900]), is_late=chance.random() < 0.4
            )
        if number % 11 == 2:
            day.fund(
                chance.choice(SHARDS),
                chance.randrange(1, 1_000_000),
                fee_cents=chance.choice([0, 35]),
                after_s=chance.choice([5, 700]),
            )
        if number % 13 == 4:
            day.fund(
                chance.choice(SHARDS), -chance.randrange(1, 1_000_000), fee_cents=chance.choice([0, 200])
            )
        if number % 29 == 5:
            day.fund(0, 500_000, becomes=FundingStatus.FAILED)
            self.returned.append(day.fund(2, 123_456))
        if number % 29 == 9 and self.returned:
            day.venue.give_back(self.returned.pop(), day.clock.now_ns())
            self.counts["returned"] += 1
        if number % 40 == 20:
            day.venue.set_fee(
                max(day.venue.floor.events), "quadratic_with_maker_fees", 7_500, day.clock.now_ns()
            )
            self.counts["fee changes"] += 1

    def _determine(self, market: str) -> None:
        word = self.chance.choice(["yes", "no", "scalar", "scalar"])
        value_e4 = self.chance.randrange(1, 10_000) if word == "scalar" else None
        self.day.venue.set_result(market, word, self.day.clock.now_ns(), value_e4=value_e4)
        self.counts[word] += 1


def must_agree(result: ReconResultV1, when: str) -> None:
    """Fail unless the reconciler's proof leaves no money, on any shard, and nothing that counts differs."""
    assert result.drifts == (), (when, result.drifts)
    assert result.cash_residual_e6 == 0, (when, result)
    assert dict(result.shard_residuals_e6) == dict.fromkeys(SHARDS, 0), (when, result.shard_residuals_e6)


async def check(day: MoneyDay, when: str) -> None:
    """Read while it trades, then again when everything has been said, and compare all books."""
    trading = await day.read(is_quiet=False)
    must_agree(trading, f"{when}, trading")
    # What the executor's feed has lost or shuffled a moment ago is no drift; nothing else may be open.
    assert all(OWN_LAG.fullmatch(error) for error in trading.errors), (when, trading.errors)
    day.pass_time(3)
    quiet = await day.read(is_quiet=True)
    must_agree(quiet, f"{when}, quiet")
    assert (quiet.errors, quiet.position_residual_e2) == ((), 0), when
    assert day.differences() == [], when


async def live(day: MoneyDay, hours: int, fills: int, check_s: int) -> Script:
    """Live a whole day."""
    script = Script(day, random.Random(day.seed + 5))
    number, until_ns = 0, day.clock.now_ns() + hours * HOUR_S * 1_000_000_000
    began_ns, steps = day.clock.now_ns(), 0
    for hour in range(hours):
        script.begin_hour(hour)
        hour_ends_ns = began_ns + (hour + 1) * HOUR_S * 1_000_000_000
        while day.clock.now_ns() < hour_ends_ns - 5_000_000_000:
            check_ns = min(day.clock.now_ns() + check_s * 1_000_000_000, hour_ends_ns - 5_000_000_000)
            script.between(number)
            while (left_ns := check_ns - day.clock.now_ns()) > 0:
                wanted = max(1, fills - day.counts["fills"])
                per_step = day.counts["fills"] / steps if steps > 50 else 2.0
                pace_s = (until_ns - day.clock.now_ns()) / 1e9 / wanted * per_step
                day.step(min(left_ns / 1e9, day.chance.uniform(0, 2 * pace_s)) + 1e-6)
                steps += 1
            number += 1
            await check(day, f"hour {hour}, checkpoint {number}")
        day.pass_time(max(0, hour_ends_ns - day.clock.now_ns()) / 1e9 + 1)
    # Everything ends: nothing is held, and every dollar is back as cash.
    for hour in range(hours, hours + 4):
        script.begin_hour(hour)
        for market in list(day.venue.markets):
            if day.venue.markets[market].state is MarketState.ACTIVE:
                day.venue.set_close(market, day.clock.now_ns(), day.clock.now_ns())
        day.pass_time(HOUR_S)
    day.pass_time(HOUR_S)
    await check(day, "the end")
    assert not any(p.qty_e2 for p in day.venue.accounts[OURS].positions.values())
    return script


@pytest.mark.timeout(900)  # a minute and a half of work, on a machine that may have other work to do
async def test_a_day_of_a_hundred_thousand_fills_ends_with_nothing_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    day = MoneyDay(seed=20_261_121)

    script = await live(day, HOURS, FILLS + 2_000, CHECK_S)

    told = {
        name: dict(mouth.counts)
        for name, mouth in (("executor", day.to_executor), ("riskguard", day.to_risk))
    }
    settled = len(day.venue.accounts[OURS].settlements)
    with capsys.disabled():
        sys.stdout.write(f"\nmoney day: {dict(day.counts)}, {dict(script.counts)}, {settled} paid, {told}\n")
    assert day.counts["fills"] >= FILLS
    assert settled >= 100
    assert min(day.counts["partial"], day.counts["maker"], day.counts["taker"]) > 10_000
    assert all(day.counts[f"fills on shard {shard}"] > 10_000 for shard in (0, 2, 3))
    assert day.counts["readings"] >= 2 * HOURS * HOUR_S // CHECK_S
    for word in ("disputes", "amended", "corrected", "returned", "fee changes", "scalar", "yes", "no"):
        assert script.counts[word], word
    for word in ("transfers", "deposits", "withdrawals"):
        assert day.counts[word], word


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    hours=st.integers(2, 4),
    fills=st.integers(100, 500),
    lag_ms=st.sampled_from([0, 400]),
)
async def test_any_small_day_ends_with_nothing_missing(
    seed: int, hours: int, fills: int, lag_ms: int
) -> None:
    day = MoneyDay(seed=seed, markets_per_hour=4, read_lag_ns=lag_ms * 1_000_000)

    await live(day, hours, fills, CHECK_S)

    assert day.counts["fills"] > 0
