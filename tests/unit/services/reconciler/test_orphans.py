"""The register of orphans: found once, resolved once, by whom and why."""

from __future__ import annotations

import pytest

from libs.common.messages.risk import OrphanAskV1, OrphanedOrderV1, OrphanV1
from services.reconciler.core import orphans as register
from services.reconciler.core.orphans import Orphans

ORDER = OrphanV1(ticker="KX-1", side="bid", size_e2=500, avg_price_e4=1_200, order_id="o1")
POSITION = OrphanV1(ticker="KX-1", side="yes", size_e2=500, avg_price_e4=1_200)


def found(
    book: Orphans, orphan: OrphanV1 = ORDER, now_ms: int = 1, *, is_ours: bool = False
) -> OrphanedOrderV1:
    row = book.on_detected(orphan, now_ms, is_ours=is_ours)
    assert row is not None
    return row


def ask(orphan_id: str = "o1", **changes: str) -> OrphanAskV1:
    words = {"action": "MANUAL_CLOSE", "by": "ada", "reason": "cancelled by hand"}
    return OrphanAskV1(id=orphan_id, **(words | changes))


def test_an_orphan_has_one_row_however_often_it_is_seen() -> None:
    book = Orphans("main")
    row = found(book)
    assert (row.id, row.ticker, row.side, row.size_e2, row.price_e4) == ("o1", "KX-1", "bid", 500, 1_200)
    assert (row.detected_ms, row.resolved, row.account) == (1, False, "main")
    assert book.on_detected(ORDER, 2, is_ours=False) is None
    assert book.open == (row,)


def test_a_restart_finds_it_under_the_same_id() -> None:
    row = found(Orphans("main"))
    again = Orphans("main")
    again.on_stored(row)
    assert again.on_detected(ORDER, 9, is_ours=False) is None


def test_a_resolution_says_who_and_why_and_holds() -> None:
    book = Orphans("main")
    found(book)
    row = book.resolve(ask(), 7)
    assert isinstance(row, OrphanedOrderV1)
    assert (row.resolved, row.resolution_action, row.user_id) == (True, "MANUAL_CLOSE", "ada")
    assert (row.reason, row.resolved_ms, row.detected_ms) == ("cancelled by hand", 7, 1)
    assert book.open == ()
    assert isinstance(book.resolve(ask(), 8), str)
    assert book.on_detected(ORDER, 9, is_ours=False) is None


@pytest.mark.parametrize(
    "wrong", [ask("o2"), ask(action="FORGET"), ask(by=" "), ask(reason=""), ask(action="manual_close")]
)
def test_a_resolution_that_lacks_something_changes_nothing(wrong: OrphanAskV1) -> None:
    book = Orphans("main")
    row = found(book)
    assert isinstance(book.resolve(wrong, 7), str)
    assert book.open == (row,)


def test_ours_resolves_itself_once_it_no_longer_rests_and_a_foreign_one_does_not() -> None:
    book = Orphans("main")
    found(book, is_ours=True)
    foreign = found(book, OrphanV1(ticker="KX-2", side="ask", size_e2=1, avg_price_e4=1, order_id="o2"))
    assert list(book.on_resting({"o1", "o2"}, 5)) == []
    (row,) = book.on_resting(set(), 6)
    assert (row.id, row.resolution_action, row.user_id) == ("o1", "AUTO_CLOSE", "reconciler")
    assert book.open == (foreign,)


def test_a_position_may_become_an_orphan_again_another_day() -> None:
    book = Orphans("main")
    first = found(book, POSITION, 1)
    assert book.on_detected(POSITION, 2, is_ours=True) is None
    assert list(book.on_resting(set(), 3)) == []
    assert isinstance(book.resolve(ask(first.id), 4), OrphanedOrderV1)
    second = found(book, POSITION, 5)
    assert second.id != first.id
    assert book.on_detected(POSITION, 6, is_ours=True) is None


def test_resolved_rows_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "RESOLVED_MAX", 3)
    book = Orphans("main")
    for number in range(10):
        name = f"o{number}"
        found(book, OrphanV1(ticker="KX-1", side="bid", size_e2=1, avg_price_e4=1, order_id=name), number)
        book.resolve(ask(name), 20)
    assert [row.id for row in book.rows] == ["o7", "o8", "o9"]
