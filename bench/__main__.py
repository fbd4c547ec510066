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

from bench import floor, halt, living, marketdata, replay, strategy
from bench.tape_frames import load, tape_path

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
    lived = living.demo(DEMO_S, "--seed", "1")
    bare = living.demo(max(20, DEMO_S // 2), "--seed", "1", probes_s=0)
    high = floor.measure()
    _tick_to_order(figures, lived, bare, low, high)
    _stages(figures, lived)
    _signing(figures, lived)
    summary = lived.summary
    requests = sum(
        summary[name] for name in ("orders_created", "orders_amended", "orders_decreased", "orders_cancelled")
    )
    figures["http_calls"] = {
        "requests": requests,
        "calls": summary["http_calls"],
        "reduction": round(1 - summary["http_calls"] / requests, 3),
    }
    figures["rss_mb"] = summary["rss_mb"]
    figures["cpu_cores"] = lived.cpu
    reduction = figures["http_calls"]["reduction"]
    print(f"http calls: {summary['http_calls']} for {requests} requests, {reduction:.1%} fewer")
    print("cores used: " + ", ".join(f"{name} {share:.2f}" for name, share in sorted(lived.cpu.items())))
    print("rss MB: " + ", ".join(f"{name} {size:.0f}" for name, size in sorted(summary["rss_mb"].items())))


def _tick_to_order(
    figures: dict[str, Any],
    lived: living.Living,
    bare: living.Living,
    low: floor.Percentiles,
    high: floor.Percentiles,
) -> None:
    path, alone = lived.summary["tick_to_order_us"], bare.summary["tick_to_order_us"]
    if lived.floor is None or lived.floor_ticks is None:
        raise RuntimeError(f"a demo of {DEMO_S} s with time for probes, quoted too late (BENCH_DEMO_S)")
    # The idle floor moves with the machine's mood: what stood before and after is averaged.
    idle = floor.Percentiles(
        (low.p50_us + high.p50_us) / 2, (low.p99_us + high.p99_us) / 2, low.samples + high.samples
    )
    floors = {"living": lived.floor, "living_ticks": lived.floor_ticks, "idle": idle}
    figures["tick_to_order"] = {
        "p50_us": path["p50"],
        "p99_us": path["p99"],
        # The ratios of record: path and floor in the same seconds of the same world (ADR 0017).
        "floor_p50_us": round(lived.floor.p50_us, 1),
        "floor_p99_us": round(lived.floor.p99_us, 1),
        "p50_ratio": round(path["p50"] / lived.floor.p50_us, 2),
        "p99_ratio": round(path["p99"] / lived.floor.p99_us, 2),
        "floors": {
            name: {
                "p50_us": round(one.p50_us, 1),
                "p99_us": round(one.p99_us, 1),
                "samples": one.samples,
                "p50_ratio": round(path["p50"] / one.p50_us, 2),
                "p99_ratio": round(path["p99"] / one.p99_us, 2),
            }
            for name, one in floors.items()
        },
        "without_probes": {"p50_us": alone["p50"], "p99_us": alone["p99"]},
    }
    told = figures["tick_to_order"]
    print(f"tick to order: p50 {path['p50']:.0f} us, p99 {path['p99']:.0f} us")
    where = {
        "living": "beside it, random times",
        "living_ticks": "beside it, the same frames",
        "idle": "alone, machine idle",
    }
    for name, one in told["floors"].items():
        print(
            f"  floor, {where[name]}: p50 {one['p50_us']:.0f} us, p99 {one['p99_us']:.0f} us"
            f" over {one['samples']}; ratios {one['p50_ratio']} and {one['p99_ratio']}"
        )
    print(f"  without probes beside it: p50 {alone['p50']:.0f} us, p99 {alone['p99']:.0f} us")


def _stages(figures: dict[str, Any], lived: living.Living) -> None:
    """Print each stage; those of a service are of all that it published, the executor's of its orders."""
    figures["stages_us"] = {}
    print("stages, us (p50, p90, p99):")
    for service, stage in living.STAGES:
        gauges = lived.gauges(service)
        found = {share: gauges.get(f"{stage}_us_{share}") for share in ("p50", "p90", "p99")}
        figures["stages_us"][f"{service}.{stage}"] = found
        shown = ", ".join("-" if us is None else f"{us:.0f}" for us in found.values())
        print(f"  {service} {stage.replace('_', ' ')}: {shown}")


def _signing(figures: dict[str, Any], lived: living.Living) -> None:
    """Print who signed; absent means that no order met its own signature between plan and bytes.

    It is not absent if the event loop's thread signed anything for an order or a cancel, nor if bytes
    waited for the presigner's thread after their intent was stored. A signature that the thread made
    while the intent was being stored is beside the path: it is printed as hurried.
    """
    gauges = lived.gauges("executor")
    ahead, hurried = int(gauges["signed_ahead"]), int(gauges["signed_hurried"])
    inline, waits = int(gauges["signed_inline"]), int(gauges["signature_waits"])
    waited_ms = round(gauges["signature_waited_ms"], 3)
    figures["signing"] = {
        "ahead": ahead,
        "hurried": hurried,
        "on_the_order_path": inline + waits,
        "in_the_loops_thread": inline,
        "waits_after_the_intent": waits,
        "waited_ms": waited_ms,
    }
    verdict = "absent from the order path" if inline + waits == 0 else "NOT ABSENT from the order path"
    print(
        f"signing: {verdict}: {inline} signed in the loop's thread, {waits} waited for a signature after the"
        f" intent was stored ({waited_ms} ms together); {ahead} made by the presigner's thread,"
        f" {hurried} of them hurried while an intent was being stored"
    )


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
