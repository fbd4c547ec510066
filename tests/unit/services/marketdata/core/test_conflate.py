from __future__ import annotations

from services.marketdata.core.conflate import ConflationRules, Conflator

MS = 1_000_000
RULES = ConflationRules(interval_ms=5, touch_burst=1, refresh_ms=1_000, books_per_s_max=1_000)


def _started(*markets: str, at_ns: int = 1_000 * MS) -> Conflator:
    conflator = Conflator(RULES)
    for market in markets:
        conflator.add(market)
    assert {due.market for due in conflator.due(at_ns)} == set(markets)
    return conflator


def test_the_first_change_after_quiet_leaves_at_once() -> None:
    conflator = _started("A")
    conflator.mark("A", 1_100 * MS)
    due = conflator.due(1_100 * MS)
    assert [(item.market, item.origin_ns, item.is_refresh) for item in due] == [("A", 1_100 * MS, False)]


def test_changes_within_the_interval_leave_once_with_the_first_arrival() -> None:
    conflator = _started("A")
    conflator.mark("A", 1_100 * MS)
    conflator.due(1_100 * MS)
    conflator.mark("A", 1_101 * MS)
    conflator.mark("A", 1_103 * MS)
    assert conflator.due(1_104 * MS) == []
    assert conflator.next_ns(1_104 * MS) == 1_105 * MS
    due = conflator.due(1_105 * MS)
    assert [(item.market, item.origin_ns) for item in due] == [("A", 1_101 * MS)]
    assert conflator.due(1_111 * MS) == []


def test_a_sweep_through_some_levels_leaves_at_once_and_its_rate_is_bounded_afterwards() -> None:
    conflator = Conflator(ConflationRules(interval_ms=5, touch_burst=3, books_per_s_max=1_000))
    conflator.add("A")
    conflator.due(1_000 * MS)
    left = 0
    for ms in range(1_100, 1_200):
        conflator.mark("A", ms * MS)
        left += len(conflator.due(ms * MS))
        if ms == 1_102:
            assert left == 3
    assert left <= 3 + 100 // 5


def test_an_urgent_change_does_not_wait_for_the_interval() -> None:
    conflator = _started("A")
    conflator.mark("A", 1_100 * MS)
    conflator.due(1_100 * MS)
    conflator.mark_urgent("A", 1_101 * MS)
    assert [item.market for item in conflator.due(1_101 * MS)] == ["A"]


def test_a_market_without_changes_is_refreshed_every_second() -> None:
    conflator = _started("A", "B")
    conflator.mark("B", 1_500 * MS)
    conflator.due(1_500 * MS)
    assert conflator.due(1_999 * MS) == []
    assert [(item.market, item.is_refresh) for item in conflator.due(2_000 * MS)] == [("A", True)]
    assert [(item.market, item.is_refresh) for item in conflator.due(2_500 * MS)] == [("B", True)]


def test_the_budget_holds_back_and_merges_but_loses_no_market() -> None:
    conflator = Conflator(RULES)
    markets = [f"M{number}" for number in range(200)]
    for market in markets:
        conflator.add(market)
    first = conflator.due(1_000 * MS)
    assert 50 <= len(first) <= 52  # a twentieth of a second of budget
    sent = {item.market for item in first}
    now = 1_000 * MS
    while len(sent) < 200:
        now += 10 * MS
        part = {item.market for item in conflator.due(now)}
        assert len(part) <= 11
        assert not part & sent
        sent |= part
    assert now <= 1_200 * MS


def test_a_dropped_market_is_never_due() -> None:
    conflator = _started("A")
    conflator.mark("A", 1_001 * MS)
    conflator.drop("A")
    assert conflator.due(5_000 * MS) == []
