"""Measure the write budget: a simulated day at 95 % utilisation, against the venue's own bucket rules.

`python -m bench.budget [--hours 24]` prints the figures and fails where one misses its
bound; `budget_world.py` says what is real in it. The day is cut into stretches that
start with empty buckets and run beside each other. Naive batching gets the same jumps:
everything replaced in batches of twenty from the unscoped bucket, newest wish first,
with no time lost on the wire.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from bench.budget_world import EVENTS, MARKETS_PER_EVENT, SHARDS, BudgetWorld, Demand, Tally
from services.simexchange.core.budget import COST_CANCEL, COST_DEFAULT, TIERS, AccountBudget

OUT: Final = Path("var") / "bench-budget.json"
TIER: Final = "advanced"
JUMPS_PER_S: Final = 2.0
"""Twenty quotes each: 40 moves a second, 1.6 times what the unscoped bucket pays for."""
STRETCHES: Final = 12
NAIVE_BATCH: Final = 20
RATIO_MIN: Final = 1.5
REDUCTION_MIN: Final = 0.6
UTILISATION_MIN: Final = 0.95
_S: Final = 1_000_000_000


def ours(stretch: tuple[int, int]) -> Tally:
    """Run one stretch: its seed and its seconds."""
    seed, seconds = stretch
    return BudgetWorld(Demand(JUMPS_PER_S, seed), tier=TIER).run(seconds)


def naive(stretch: tuple[int, int]) -> int:
    """Return the quotes that naive batching places in one stretch."""
    seed, seconds = stretch
    demand, budget = Demand(JUMPS_PER_S, seed), AccountBudget(TIERS[TIER], 0)
    budget.write.level_nano = 0
    stale: dict[tuple[int, int], None] = {}
    placed, now_ns, item = 0, 0, COST_DEFAULT + COST_CANCEL
    while now_ns < seconds * _S:
        wait_ns, event, _, _ = demand.next_jump()
        until_ns = min(now_ns + wait_ns, seconds * _S)
        while stale:
            count = min(NAIVE_BATCH, len(stale))
            if not budget.spend_write(item * count, 0, SHARDS, now_ns):
                missing = item * count * _S - budget.write.level_nano
                ready_ns = now_ns + -(-missing // TIERS[TIER].write.refill_per_s)
                if ready_ns > until_ns:
                    break
                now_ns = ready_ns
                continue
            placed += count
            for key in list(itertools.islice(stale, count)):
                del stale[key]
        now_ns = until_ns
        for quote in range(2 * MARKETS_PER_EVENT):
            stale.pop((event, quote), None)
            stale[event, quote] = None
    return placed


def measure(hours: float, stretches: int = STRETCHES, workers: int | None = None) -> dict[str, float]:
    """Return the figures of so many simulated hours."""
    seconds = int(hours * 3_600 / stretches)
    parts = [(seed, seconds) for seed in range(1, stretches + 1)]
    if (workers or 1) > 1:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            tallies = pool.map(ours, parts, chunksize=1)
    else:
        tallies = [ours(part) for part in parts]
    told = Tally(**{f.name: sum(getattr(t, f.name) for t in tallies) for f in dataclasses.fields(Tally)})
    naive_quotes = sum(naive(part) for part in parts)
    total_s = seconds * stretches
    rate = TIERS[TIER].write.refill_per_s
    return {
        "hours": total_s / 3_600,
        "quotes": told.quotes,
        "quotes_per_s": told.quotes / total_s,
        "naive_quotes_per_s": naive_quotes / total_s,
        "ratio": told.quotes / naive_quotes,
        "singles_share": told.singles / told.quotes,
        "order_writes": told.writes,
        "http_calls": told.calls,
        "reduction": 1 - told.calls / told.writes,
        "reduction_per_quote": 1 - told.calls / told.quotes,
        "refused_for_rate": told.refused_for_rate,
        "withdrawals": told.withdrawals,
        "cancels_waited": told.cancels_waited,
        "cancel_wait_ms_max": max(t.cancel_wait_ns for t in tallies) / 1e6,
        "unscoped_utilisation": told.unscoped_tokens / total_s / rate,
        "own_buckets_utilisation": told.shard_tokens / total_s / rate / (len(SHARDS) - 1),
    }


def missed(figures: dict[str, float]) -> list[str]:
    """Return the bounds that the figures miss."""
    bounds = {
        "no refusal for rate": not figures["refused_for_rate"],
        "no cancel waits behind a create": not figures["cancels_waited"] and figures["withdrawals"] > 0,
        f"at least {REDUCTION_MIN:.0%} fewer calls than one per order": figures["reduction"] >= REDUCTION_MIN,
        f"at least {RATIO_MIN} times naive batching": figures["ratio"] >= RATIO_MIN,
        f"utilisation of {UTILISATION_MIN:.0%}": figures["unscoped_utilisation"] >= UTILISATION_MIN,
    }
    return [name for name, is_met in bounds.items() if not is_met]


def main() -> int:
    """Print, write and judge the figures."""
    parser = argparse.ArgumentParser(description="The write budget over a simulated day.")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    began_s = time.monotonic()
    figures = measure(options.hours, workers=options.workers)
    print(
        f"budget: {figures['hours']:.1f} simulated hours, tier {TIER}, {len(SHARDS)} shards, "
        f"{EVENTS * MARKETS_PER_EVENT} markets, {JUMPS_PER_S * 2 * MARKETS_PER_EVENT:.0f} moves/s wanted; "
        f"unscoped bucket {figures['unscoped_utilisation']:.1%} used"
    )
    print(
        f"  quotes placed {figures['quotes_per_s']:.1f}/s, naive batching "
        f"{figures['naive_quotes_per_s']:.1f}/s: {figures['ratio']:.2f} x, "
        f"{figures['singles_share']:.0%} of them alone from their shard's bucket"
    )
    print(
        f"  http calls {figures['http_calls']:,.0f} for {figures['order_writes']:,.0f} orders written: "
        f"{figures['reduction']:.1%} fewer "
        f"({figures['reduction_per_quote']:.1%} fewer than one per quote moved)"
    )
    print(
        f"  refused for rate: {figures['refused_for_rate']:.0f}; cancels that waited for tokens: "
        f"{figures['cancels_waited']:.0f} of {figures['withdrawals']:.0f}, "
        f"longest wait {figures['cancel_wait_ms_max']:.1f} ms"
    )
    OUT.parent.mkdir(exist_ok=True)
    wrong = missed(figures)
    OUT.write_bytes(msgspec.json.format(msgspec.json.encode({**figures, "missed": wrong}), indent=2) + b"\n")
    verdict = f"missed: {', '.join(wrong)}" if wrong else "every bound met"
    print(f"written: {OUT}, {time.monotonic() - began_s:.0f} s, {verdict}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
