"""Measure everything, print it, and write ``var/bench.json``: `make bench`.

Figures are ratios within one run wherever there is something to compare with,
because the machines are shared and noisy. A figure that was not measured (no
recorded tapes beside the checkout) is absent from the file and named on the
screen.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from bench import floor, halt, marketdata, replay, strategy
from bench.tape_frames import load, tape_path
from bench.world import demo

OUT = Path("var") / "bench.json"
DEMO_S = int(os.environ.get("BENCH_DEMO_S", "60"))


def main() -> None:
    """Run every measurement in turn; nothing else runs beside it."""
    figures: dict[str, Any] = {}
    before = floor.measure()
    _demo(figures, before)
    _halt(figures)
    _cores(figures)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    print(f"written: {OUT}")


def _demo(figures: dict[str, Any], low: floor.Percentiles) -> None:
    summary = demo(DEMO_S, "--seed", "1")
    after = floor.measure()
    # The floor moves with the machine's mood: what stood before and after the demo is averaged.
    p50_us, p99_us = (low.p50_us + after.p50_us) / 2, (low.p99_us + after.p99_us) / 2
    path = summary["tick_to_order_us"]
    figures["tick_to_order"] = {
        "p50_us": path["p50"],
        "p99_us": path["p99"],
        "floor_p50_us": round(p50_us, 1),
        "floor_p99_us": round(p99_us, 1),
        "p50_ratio": round(path["p50"] / p50_us, 2),
        "p99_ratio": round(path["p99"] / p99_us, 2),
    }
    requests = sum(
        summary[name] for name in ("orders_created", "orders_amended", "orders_decreased", "orders_cancelled")
    )
    figures["http_calls"] = {
        "requests": requests,
        "calls": summary["http_calls"],
        "reduction": round(1 - summary["http_calls"] / requests, 3),
    }
    figures["rss_mb"] = summary["rss_mb"]
    told = figures["tick_to_order"]
    print(
        f"tick to order: p50 {told['p50_us']:.0f} us, p99 {told['p99_us']:.0f} us; "
        f"floor p50 {p50_us:.0f} us, p99 {p99_us:.0f} us; "
        f"ratios {told['p50_ratio']} and {told['p99_ratio']}"
    )
    reduction = figures["http_calls"]["reduction"]
    print(f"http calls: {summary['http_calls']} for {requests} requests, {reduction:.1%} fewer")
    print("rss MB: " + ", ".join(f"{name} {size:.0f}" for name, size in sorted(summary["rss_mb"].items())))


def _halt(figures: dict[str, Any]) -> None:
    halts = halt.measure()
    figures["halt"] = {
        "gate_ms_p99": round(halts.gate.p99_us / 1000, 3),
        "zero_resting_ms_p99": round(halts.zero_resting.p99_us / 1000, 1),
        "verified_ms_p99": round(halts.verified.p99_us / 1000, 1),
        "halts": halts.gate.samples,
    }
    print("halt: " + ", ".join(f"{name} {value}" for name, value in figures["halt"].items()))


def _cores(figures: dict[str, Any]) -> None:
    path = tape_path()
    if path is None:
        print("marketdata, strategy, replay: not measured, the recorded tapes are absent")
        return
    tape = load(path)
    feed = max((marketdata.run(tape) for _ in range(3)), key=lambda one: one.deltas_per_s)
    figures["marketdata"] = {"deltas_per_s": round(feed.deltas_per_s), "books": feed.books}
    print(f"marketdata: {feed.deltas_per_s:,.0f} deltas/s")
    books = strategy.books_of(tape, 20_000)
    decided = max((strategy.run(books, tape.market) for _ in range(3)), key=lambda one: one.decisions_per_s)
    figures["strategy"] = {"decisions_per_s": round(decided.decisions_per_s)}
    print(f"strategy: {decided.decisions_per_s:,.0f} decisions/s")
    replayed = max((replay.run() for _ in range(2)), key=lambda one: one.events_per_s)
    figures["replay"] = {
        "events_per_s": round(replayed.events_per_s),
        "events": replayed.tally.events,
        "decisions": replayed.tally.decisions,
        "requests": replayed.tally.requests,
        "fills": replayed.tally.fills,
    }
    print(
        f"replay: {replayed.events_per_s:,.0f} events/s, {replayed.tally.decisions:,} decisions, "
        f"{replayed.tally.fills:,} fills"
    )


if __name__ == "__main__":
    main()
