from __future__ import annotations

import msgspec

from libs.cli.summary import Latency, Summary, Tally
from libs.common.messages.health import StatusV1


def status(service: str, instance: str, *, rss_mb: float = 10.0, **counters: int) -> StatusV1:
    return StatusV1(
        service=service,
        instance=instance,
        run="r",
        env="sim",
        version="0",
        account="main",
        config_hash="",
        uptime_s=1,
        is_ready=True,
        state="running",
        reasons=(),
        counters=counters,
        gauges={name: float(value) for name, value in counters.items()},
        rss_mb=rss_mb,
    )


def summary(**changes: object) -> Summary:
    clean = Summary(
        duration_s=1.0,
        effective_speed=1.0,
        markets=[],
        md_messages=0,
        books_published=0,
        decisions=0,
        targets=0,
        orders_created=0,
        orders_amended=0,
        orders_decreased=0,
        orders_cancelled=0,
        http_calls=0,
        fills=0,
        fees_e6=0,
        pnl_e6=0,
        orphans=0,
        duplicates=0,
        unknown_open=0,
        position_residual_e2=0,
        cash_residual_e6=0,
        halts=[],
        gate_state_at_end="halted",
        tick_to_order_us=Latency(p50=1.0, p99=2.0),
        rss_mb={},
    )
    return msgspec.structs.replace(clean, **changes)


def test_counters_of_a_restarted_service_are_added_up() -> None:
    tally = Tally()
    tally.hear(status("executor", "a", fills=3))
    tally.hear(status("executor", "a", fills=5))
    tally.hear(status("executor", "b", fills=2))
    tally.hear(status("strategy", "c", fills=100))

    assert tally.total("executor", "fills") == 7
    assert tally.total("executor", "never_told") == 0


def test_gauges_come_from_the_newest_instance() -> None:
    tally = Tally()
    tally.hear(status("executor", "a", unknown_open=3))
    tally.hear(status("executor", "b", unknown_open=0))

    assert tally.gauge("executor", "unknown_open") == 0.0
    assert tally.gauge("riskguard", "unknown_open") is None


def test_memory_is_the_largest_heard() -> None:
    tally = Tally()
    tally.hear(status("executor", "a", rss_mb=80.04))
    tally.hear(status("executor", "a", rss_mb=60.0))

    assert tally.rss_mb == {"executor": 80.0}


def test_a_clean_run_has_no_failures() -> None:
    assert summary().failures() == []


def test_what_could_not_be_measured_is_a_failure() -> None:
    assert summary(cash_residual_e6=None).failures() == ["cash_residual_e6 is unknown, expected 0"]


def test_each_figure_that_is_not_zero_is_named() -> None:
    told = summary(orphans=1, duplicates=2, unknown_open=3, position_residual_e2=-4).failures()

    assert [line.split()[0] for line in told] == [
        "orphans",
        "duplicates",
        "unknown_open",
        "position_residual_e2",
    ]


def test_the_summary_has_the_fields_of_the_issue_in_its_order() -> None:
    assert list(msgspec.to_builtins(summary())) == [
        "duration_s",
        "effective_speed",
        "markets",
        "md_messages",
        "books_published",
        "decisions",
        "targets",
        "orders_created",
        "orders_amended",
        "orders_decreased",
        "orders_cancelled",
        "http_calls",
        "fills",
        "fees_e6",
        "pnl_e6",
        "orphans",
        "duplicates",
        "unknown_open",
        "position_residual_e2",
        "cash_residual_e6",
        "halts",
        "gate_state_at_end",
        "tick_to_order_us",
        "rss_mb",
    ]
