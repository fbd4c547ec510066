"""Rows of the audit tables, projected from the streams: nothing of them is stored twice.

`orphaned_orders` (D-145) comes from the register in AUDIT, `kill_switch_events`
(D-144) from halts and resumes in CONTROL and the fills of EXEC, `trade_audits`
(D-143) from orders and fills in EXEC and the decisions in AUDIT. Keys are the
requirement's; numbers are decimal texts, since a float is no money; times are
RFC 3339 by the stream server's clock, which all streams share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from libs.common.domain.units import format_cash, format_price, format_qty
from libs.common.messages.control import HaltV1, ResumeV1
from libs.common.messages.execution import FillV1, OrderState, OrderV1
from libs.common.messages.risk import OrphanedOrderV1
from libs.common.messages.target import TargetV1

Row = dict[str, Any]
TABLES: Final = ("kill-switch-events", "orphaned-orders", "trade-audits")


@dataclass(frozen=True, slots=True)
class Stored:
    """A record with its place in its stream and when it was stored: RFC 3339, UTC, microseconds."""

    sequence: int
    at: str
    record: HaltV1 | ResumeV1 | OrderV1 | FillV1


def orphaned_orders(rows: Iterable[OrphanedOrderV1]) -> list[Row]:
    """Return one row for each orphan, by its newest record, in the order of detection."""
    newest = {row.id: row for row in rows}
    return [
        {
            "id": row.id,
            "user_id": row.user_id or None,
            "ticker": row.ticker,
            "order_id": row.order_id or None,
            "side": row.side,
            "size": format_qty(row.size_e2),
            "price": format_price(row.price_e4),
            "detected_at": _time(row.detected_ms),
            "resolved": row.resolved,
            "resolution_action": row.resolution_action or None,
            "resolved_at": _time(row.resolved_ms) if row.resolved else None,
            "reason": row.reason or None,
        }
        for row in sorted(newest.values(), key=lambda row: (row.detected_ms, row.id))
    ]


def kill_switch_events(control: Sequence[Stored], fills: Sequence[Stored]) -> list[Row]:
    """Return one row for each halt, oldest first.

    Args:
        control: Halts and resumes in the order of their stream.
        fills: Fills in the order of theirs.

    ``positions_closed`` counts the markets that a fill made flat between the halt
    and what lifted it; ``total_pnl`` is what all fills before the halt had realised,
    fees taken off.
    """
    resumes = [item for item in control if isinstance(item.record, ResumeV1)]
    events: list[Row] = []
    for item in control:
        if not isinstance(item.record, HaltV1):
            continue
        lifted = next((one for one in resumes if _lifts(one.record, item.sequence)), None)
        end = lifted.at if lifted is not None else None
        events.append(
            {
                "id": item.sequence,
                "user_id": item.record.by or None,
                "trigger_type": item.record.trigger,
                "triggered_at": item.at,
                "positions_closed": _closed(fills, item.at, end),
                "total_pnl": format_cash(_pnl_e6(fills, item.at)),
                "resolved_at": end,
                "resolution_notes": None if lifted is None else _notes(lifted.record),
                "reason": item.record.reason,
            }
        )
    return events


def trade_audits(records: Sequence[Stored], targets: Mapping[str, TargetV1]) -> list[Row]:
    """Return one row for each fill (``ENTRY`` or ``EXIT``) and each cancelled order (``CANCEL``).

    Args:
        records: Orders and fills in the order of EXEC.
        targets: Decisions by id, as far as AUDIT holds them.

    A fill that makes the position larger enters, one that makes it smaller exits;
    one that turns it over has closed what was there, so it exits.
    """
    audits: list[Row] = []
    book = _Book()
    for item in records:
        match item.record:
            case FillV1() as fill:
                book.begin(item.at)
                audits.append(_fill_row(item, fill, book, targets.get(fill.decision_id)))
                book.take(fill)
            case OrderV1(state=OrderState.CANCELLED) as order:
                book.begin(item.at)
                audits.append(_cancel_row(item, order, book, targets.get(order.decision_id)))
            case _:
                pass
    return audits


@dataclass(slots=True)
class _Book:
    """What the fills so far made: result of the UTC day, fees taken off, and open positions."""

    positions: dict[str, int] = field(default_factory=dict)
    pnl_e6: int = 0
    day: str = ""

    def begin(self, at: str) -> None:
        day = at[:10]
        if day != self.day:
            self.day, self.pnl_e6 = day, 0

    def take(self, fill: FillV1) -> None:
        self.pnl_e6 += fill.pnl_delta_e6
        self.positions[fill.market] = fill.position_after_e2
        if not fill.position_after_e2:
            del self.positions[fill.market]

    def risk(self) -> Row:
        return {"daily_pnl_before": format_cash(self.pnl_e6), "open_positions": len(self.positions)}


def _fill_row(item: Stored, fill: FillV1, book: _Book, target: TargetV1 | None) -> Row:
    before_e2 = fill.position_after_e2 - fill.side.sign * fill.qty_e2
    is_larger = abs(fill.position_after_e2) > abs(before_e2) and before_e2 * fill.position_after_e2 >= 0
    details = {
        "client_order_id": fill.client_order_id,
        "order_id": fill.order_id,
        "trade_id": fill.trade_id,
        "side": fill.side.value,
        "price": format_price(fill.price_e4),
        "size": format_qty(fill.qty_e2),
        "fee": format_cash(fill.fee_e6),
        "is_taker": fill.is_taker,
    }
    row_id = f"{fill.trade_id}/{fill.order_id}"
    return _row(item, row_id, fill, "ENTRY" if is_larger else "EXIT", details, book, target)


def _cancel_row(item: Stored, order: OrderV1, book: _Book, target: TargetV1 | None) -> Row:
    details = {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "side": order.side.value,
        "price": format_price(order.price_e4),
        "size": format_qty(order.initial_e2),
        "filled": format_qty(order.filled_e2),
        "reason": order.reason,
    }
    return _row(item, f"{order.client_order_id}/{order.version}", order, "CANCEL", details, book, target)


def _row(  # noqa: PLR0917 - one row, all that belongs to it
    item: Stored,
    row_id: str,
    record: FillV1 | OrderV1,
    action: str,
    details: Row,
    book: _Book,
    target: TargetV1 | None,
) -> Row:
    return {
        "id": row_id,
        "user_id": record.account,
        "position_id": f"{record.account}/{record.market}",
        "action": action,
        "timestamp": _time(record.venue_ms) if isinstance(record, FillV1) else item.at,
        "order_details": {"decision_id": record.decision_id, **details},
        "game_state": None,
        "market_data": _market_data(record.market, target),
        "risk_metrics": book.risk(),
        "created_at": item.at,
    }


def _market_data(market: str, target: TargetV1 | None) -> Row:
    if target is None:
        return {"ticker": market}
    return {
        "ticker": market,
        "fair": None if target.fair_e4 is None else f"{target.fair_e4 / 10_000:.6f}",
        "book_sequence": target.book_sequence,
        "book_at": _time(target.book_venue_ms),
        "strategy": target.strategy,
    }


def _lifts(record: object, halt_sequence: int) -> bool:
    return isinstance(record, ResumeV1) and record.halt_sequence >= halt_sequence


def _notes(record: object) -> str | None:
    return f"{record.reason} (by {record.by})" if isinstance(record, ResumeV1) else None


def _closed(fills: Iterable[Stored], start: str, end: str | None) -> int:
    return len(
        {
            item.record.market
            for item in fills
            if isinstance(item.record, FillV1)
            and not item.record.position_after_e2
            and item.at >= start
            and (end is None or item.at <= end)
        }
    )


def _pnl_e6(fills: Iterable[Stored], until: str) -> int:
    return sum(
        item.record.pnl_delta_e6 for item in fills if isinstance(item.record, FillV1) and item.at < until
    )


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1_000, UTC).isoformat(timespec="milliseconds")
