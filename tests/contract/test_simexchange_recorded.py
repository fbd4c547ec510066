"""Put into the situation of a recording, the simulated venue answers as the demo exchange did.

The same request gets the same status, the same body shape and the same code.
Differences that are meant are listed below, each with its reason: the
recordings are of June 2026 and the venue has moved since.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from services.simexchange.core.fifo_book import FifoBook
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.requests import CreateRequest
from services.simexchange.core.venue import Venue
from tests.support.shared import requires_shared, shared_dir
from tests.support.venue import RunningVenue, order_body, running_venue, signed_headers

pytestmark = requires_shared

MARKET = "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"
EVENT, SERIES = MARKET.rpartition("-")[0], "KXWTACHALLENGERMATCH"
CASH_E6 = 98_018_600  # the recorded balance

GONE = {
    "service",  # key of errors, removed 2026-08-06
    "fractional_trading_enabled",
    "response_price_units",
    "resting_orders_count",  # removed 2026-07-09
    "custom_strike",
    "early_close_condition",
    "strike_type",
    "occurrence_datetime",  # facts of one market
    "mve_collection_ticker",
    "mve_selected_legs",
    "primary_participant_key",
    "floor_strike",
    "cap_strike",  # others'
    "is_provisional",
    "functional_strike",
}
NEW = {"exchange_index", "settlement_bounds_type", "intra_exchange_transfers_active",
       "exchange_estimated_resume_time", "exchange_index_statuses"}  # fmt: skip
"""Fields that the contract file has and the recordings, being older, have not."""


def recorded(name: str) -> tuple[dict[str, Any], Any]:
    folder = shared_dir() / "data" / "kalshi-demo-recorded"
    meta = json.loads((folder / f"{name}.meta.json").read_text())
    return meta, json.loads((folder / f"{name}.json").read_text())


def shape(value: Any) -> Any:
    """Return the keys and types of a body; of a list its first element's."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key not in GONE | NEW}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def same_code(mine: Any, theirs: Any) -> bool:
    """Return whether two error bodies say the same, ``service`` aside."""

    def plain(body: Any) -> Any:
        return {k: plain(v) for k, v in body.items() if k not in GONE} if isinstance(body, dict) else body

    return bool(plain(mine) == plain(theirs))


def like_the_recorded(venue: Venue, now_ns: int) -> None:
    """List the recorded market with the recorded book (3 at 0.47, 3 at 0.52) and our 2 contracts."""
    venue.add_account("maker", cash_by_shard={}, now_ns=now_ns, is_internal=True)
    venue.add_series(SeriesSpec(SERIES, "Tennis"))
    venue.add_event(EventSpec(EVENT, SERIES, "Jimenez Kasintseva vs Lepchenko"), now_ns)
    grid = grid_of_steps((0, 10_000, 100))
    venue.add_market(MarketSpec(MARKET, EVENT, "Who?", grid, now_ns, now_ns + 10**15), FifoBook(), now_ns)
    venue.create("maker", CreateRequest(MARKET, Side.ASK, 9900, 200), now_ns)
    for _ in range(2):
        venue.create("alice", CreateRequest(MARKET, Side.BID, 9900, 100), now_ns)
    for side, price_e4 in ((Side.BID, 4700), (Side.ASK, 5200)):
        venue.create("maker", CreateRequest(MARKET, side, price_e4, 300), now_ns)


@pytest.fixture
def venue() -> Iterator[RunningVenue]:
    # Two contracts bought at 0.99 cost 1.98 and two fees of 0.0007: the recorded balance is what is left.
    with running_venue(prepare=like_the_recorded, cash_by_shard={0: CASH_E6 + 1_981_400}) as running:
        yield running


def replay(venue: RunningVenue, name: str, **path_args: str) -> tuple[Any, Any, dict[str, Any]]:
    """Send the recorded request and return (answer, recorded body, recorded meta)."""
    meta, body = recorded(name)
    path = meta["path"].removeprefix("/trade-api/v2")
    for was, now in path_args.items():
        path = path.replace(was.removeprefix("_"), now)
    account = None if meta["auth"] == "unauthenticated" else "alice"
    return venue.request(meta["method"], path, meta["request_body"], account=account), body, meta


@pytest.mark.parametrize(
    "name",
    [
        "auth__balance_ok",
        "exchange__status",
        "account__limits",
        "account__endpoint_costs",
        "series__fee_changes",
        "markets__single",
        "markets__unauth_single",
        "markets__single_filter_lastpage",
        "markets__garbage_cursor",
        "markets__limit_over_max",
        "orderbook__base",
        "portfolio__positions",
        "settlements__page",
        "orders__create_v2_maker",
        "orders__create_v2_taker_ioc",
        "orders__cancel_unknown_id",
        "orders__insufficient_balance",
        "orders__invalid_price_structure",
        "orders__numeric_field_types",
        "orders__post_only_cross",
        "orders__stp_setup",
        "orders__settlement_seed",
    ],
)
def test_one_request_gets_the_recorded_status_and_shape(venue: RunningVenue, name: str) -> None:
    answer, body, meta = replay(venue, name)

    assert answer.status_code == meta["status"], answer.text
    assert shape(answer.json()) == shape(body)
    if meta["status"] >= 400:
        assert same_code(answer.json(), body)


def test_the_recorded_balance_is_reproduced_to_the_last_digit(venue: RunningVenue) -> None:
    answer, body, _ = replay(venue, "auth__balance_ok")

    assert {**answer.json(), "updated_ts": 0} == {**body, "updated_ts": 0}


def test_the_recorded_book_is_reproduced(venue: RunningVenue) -> None:
    answer, body, _ = replay(venue, "orderbook__base")

    assert answer.json() == body


def test_an_orders_life_goes_as_recorded(venue: RunningVenue) -> None:
    """Create, the same again, read, cancel, cancel again, the id again: each with the recorded answer."""
    created, body, _ = replay(venue, "orders__create_v2_maker")
    mine, theirs = created.json()["order_id"], body["order_id"]
    assert created.json() == {**body, "order_id": mine, "ts_ms": created.json()["ts_ms"]}

    for name in (
        "orders__duplicate_client_order_id",
        "orders__get_after_create",
        "orders__cancel_v2",
        "orders__cancel_already_canceled",
        "orders__reuse_canceled_client_id",
    ):
        answer, body, meta = replay(venue, name, **{theirs: mine})
        assert answer.status_code == meta["status"], (name, answer.text)
        assert shape(answer.json()) == shape(body), name
        if meta["status"] >= 400:
            assert same_code(answer.json(), body), name


def test_a_read_right_after_a_cancel_still_shows_the_order_where_reads_lag(venue: RunningVenue) -> None:
    """Recorded: 360 ms after the acknowledged cancel the order was listed as resting."""
    venue.sim("POST", "switch", {"action": "read_lag", "seconds": 3600.0})
    created, body, _ = replay(venue, "orders__create_v2_maker")
    mine, theirs = created.json()["order_id"], body["order_id"]
    replay(venue, "orders__cancel_v2", **{theirs: mine})

    answer, _, _ = replay(venue, "orders__get_after_cancel", **{theirs: mine})
    assert answer.status_code == 404  # with an hour of lag not even the create is seen

    venue.sim("POST", "switch", {"action": "read_lag", "seconds": 0.0})
    answer, body, _ = replay(venue, "orders__get_after_cancel", **{theirs: mine})
    assert shape(answer.json()) == shape(body)
    assert answer.json()["order"]["status"] == "canceled"


def test_the_taker_order_costs_what_it_cost_and_is_listed_as_recorded(venue: RunningVenue) -> None:
    taken, body, _ = replay(venue, "orders__create_v2_taker_ioc")
    mine = taken.json()
    assert mine == {**body, "order_id": mine["order_id"], "ts_ms": mine["ts_ms"]}

    gone, _, meta = replay(venue, "orders__cancel_executed", **{body["order_id"]: mine["order_id"]})
    assert gone.status_code == meta["status"]

    fills, recorded_fills, _ = replay(venue, "fills__after_taker")
    assert shape(fills.json()) == shape(recorded_fills)
    facts = ("yes_price_dollars", "count_fp", "fee_cost", "is_taker")
    told, theirs = (
        [[fill[key] for key in facts] for fill in f["fills"]] for f in (fills.json(), recorded_fills)
    )
    assert told == theirs
    positions, recorded_positions, _ = replay(venue, "portfolio__positions")
    (position,) = positions.json()["market_positions"]
    (their_position,) = recorded_positions["market_positions"]
    for key in ("position_fp", "total_traded_dollars", "market_exposure_dollars", "fees_paid_dollars"):
        assert position[key] == their_position[key], key
    assert positions.json()["event_positions"] == recorded_positions["event_positions"]
    orders, recorded_orders, _ = replay(venue, "portfolio__orders_list")
    assert shape(orders.json()) == shape(recorded_orders)


def test_a_self_cross_ends_the_taker_and_leaves_the_resting_order(venue: RunningVenue) -> None:
    setup, body, _ = replay(venue, "orders__stp_setup")
    mine, theirs = setup.json()["order_id"], body["order_id"]

    crossed, body, meta = replay(venue, "orders__stp_self_cross")
    assert crossed.status_code == meta["status"]
    own = {key: crossed.json()[key] for key in ("order_id", "ts_ms")}
    assert crossed.json() == {**body, **own}

    after, body, _ = replay(venue, "orders__stp_resting_after", **{theirs: mine})
    assert shape(after.json()) == shape(body)
    assert after.json()["order"]["status"] == "resting"


@pytest.mark.parametrize(
    ("name", "skew_ms"),
    [
        ("auth__skew_minus5s", -5_000),
        ("auth__skew_plus5s", 5_000),
        ("auth__skew_minus30s", -30_000),
        ("auth__skew_minus5min", -300_000),
        ("auth__skew_plus5min", 300_000),
    ],
)
def test_the_timestamp_window_is_the_recorded_one(venue: RunningVenue, name: str, skew_ms: int) -> None:
    meta, body = recorded(name)
    headers = signed_headers(venue.keys["alice"], "GET", "/portfolio/balance", skew_ms=skew_ms)

    answer = venue.request("GET", "/portfolio/balance", account=None, headers=headers)

    assert answer.status_code == meta["status"]
    assert shape(answer.json()) == shape(body)
    if meta["status"] == 401:
        assert answer.json() == body


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("auth__bad_signature", {"KALSHI-ACCESS-SIGNATURE": "AAAA"}),
        ("auth__unknown_key_id", {"KALSHI-ACCESS-KEY": "00000000-0000-0000-0000-000000000000"}),
        ("auth__missing_signature_header", {"KALSHI-ACCESS-SIGNATURE": None}),
    ],
)
def test_who_cannot_prove_an_account_gets_the_recorded_answer(
    venue: RunningVenue, name: str, changes: dict[str, str | None]
) -> None:
    meta, body = recorded(name)
    signed = {**signed_headers(venue.keys["alice"], "GET", "/portfolio/balance"), **changes}
    headers = {key: value for key, value in signed.items() if value is not None}

    answer = venue.request("GET", "/portfolio/balance", account=None, headers=headers)

    assert (answer.status_code, answer.json()) == (meta["status"], body)


def test_old_order_writes_are_gone_and_say_so(venue: RunningVenue) -> None:
    """Recorded before they were removed (2026-06-18): the same request now points to the new endpoints."""
    answer, _, _ = replay(venue, "orders__legacy_create")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "deprecated_v1_order_endpoint"


def test_trades_are_listed_with_the_recorded_fields(venue: RunningVenue) -> None:
    _, body = recorded("trades__public_recorded")
    taker = order_body(ticker=MARKET, price="0.5200", count="0.77", time_in_force="immediate_or_cancel")
    venue.create(**taker)

    answer = venue.request("GET", f"/markets/trades?ticker={MARKET}&limit=1", account=None)

    assert shape(answer.json()) == shape(body)
    assert answer.json()["trades"][0]["count_fp"] == "0.77"
    assert answer.json()["cursor"] != ""
