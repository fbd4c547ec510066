"""The view as a table for a terminal, or as one plain line for a log."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from libs.cli.watch import View

_STATE_STYLE = {"running": "bold green", "halted": "bold red", "starting": "yellow"}


def price(value_e4: int | None) -> str:
    """Return a price in cents, tenths of a cent included, or a dash."""
    return "-" if value_e4 is None else f"{value_e4 / 100:.2f}".rstrip("0").rstrip(".") + "¢"


def dollars(value_e6: float | None) -> str:
    """Return money with a sign, or a dash."""
    return "-" if value_e6 is None else f"{value_e6 / 1e6:+.4f}"


def contracts(qty_e2: int) -> str:
    """Return a signed quantity."""
    return f"{qty_e2 / 100:+.2f}".rstrip("0").rstrip(".") if qty_e2 else "0"


def gate(view: View) -> tuple[str, str]:
    """Return the executor's gate word and its reasons."""
    status = view.tally.newest("executor")
    if status is None:
        return "starting", "no word from the executor yet"
    return status.state, ", ".join(status.reasons)


def line(view: View, elapsed_s: float) -> str:
    """Return one line that says what is happening."""
    tally = view.tally
    state, reasons = gate(view)
    busiest = max(view.tops, key=lambda market: view.fills.get(market, 0), default=None)
    top = "" if busiest is None else _top_words(view, busiest)
    return (
        f"{elapsed_s:5.0f}s gate={state}{f' ({reasons})' if reasons else ''} markets={len(view.tops)}"
        f" books={tally.total('marketdata', 'books_published')}"
        f" decisions={tally.total('strategy', 'decisions')}"
        f" orders={tally.total('executor', 'orders_created')}"
        f" resting={int(tally.gauge('executor', 'resting_orders') or 0)}"
        f" fills={sum(view.fills.values())}"
        f" pnl={dollars(tally.gauge('executor', 'pnl_e6'))}{top}"
    )


def _top_words(view: View, market: str) -> str:
    top = view.tops[market]
    bid, ask = view.own_quotes(market)
    return f" | {market} {price(top.bid_e4)}/{price(top.ask_e4)} ours {price(bid)}/{price(ask)}"


def table(view: View, elapsed_s: float, title: str) -> RenderableType:
    """Return the whole view for a terminal."""
    grid = Table(title=title, title_justify="left", expand=False, header_style="bold")
    for name in ("market", "state"):
        grid.add_column(name, no_wrap=True)
    for name in ("bid", "ask", "our bid", "our ask", "position", "fills", "realised $"):
        grid.add_column(name, justify="right", no_wrap=True)
    for market in view.all_markets:
        top, position = view.tops.get(market), view.positions.get(market)
        told = view.markets.get(market)
        bid, ask = view.own_quotes(market)
        state = (told.state.value if told else "") + (f" {told.result}" if told and told.result else "")
        grid.add_row(
            market,
            "stale" if top is not None and top.is_stale and state == "active" else state,
            price(top.bid_e4 if top else None),
            price(top.ask_e4 if top else None),
            price(bid),
            price(ask),
            contracts(position.qty_e2 if position else 0),
            str(view.fills.get(market, 0)),
            dollars(position.realised_e6 - position.fees_e6) if position else "-",
        )
    state, reasons = gate(view)
    tally = view.tally
    p50 = tally.gauge("executor", "tick_to_order_us_p50")
    foot = Text.assemble(
        ("gate ", "dim"),
        (state, _STATE_STYLE.get(state, "yellow")),
        (f" {reasons}" if reasons else ""),
        ("  P&L ", "dim"),
        f"${dollars(tally.gauge('executor', 'pnl_e6'))}",
        ("  orders ", "dim"),
        str(tally.total("executor", "orders_created")),
        ("  HTTP calls ", "dim"),
        str(tally.total("executor", "http_calls")),
        ("  tick to order p50 ", "dim"),
        "-" if p50 is None else f"{p50:.0f} µs",
        ("  ", "dim"),
        f"{elapsed_s:.0f} s   Ctrl-C ends in order",
    )
    return Group(grid, foot)
