from __future__ import annotations

import json

import pytest

from services.simexchange.core.tape_market import MetadataMalformed, read_metadata
from tests.support.recording import metadata
from tests.support.shared import requires_shared, shared_dir

S = 1_000_000_000


def test_a_listing_says_nothing_about_the_end() -> None:
    tape = read_metadata(metadata(), "KXT-1-00")
    spec = tape.spec(open_ns=10 * S, close_ns=100 * S)
    assert spec.result is None
    assert spec.settlement_value_e4 is None
    assert set(spec.extra) == {"floor_strike", "strike_type", "expiration_time"}
    assert (spec.open_ns, spec.close_ns, spec.created_ns) == (10 * S, 100 * S, 10 * S)
    assert spec.settlement_timer_s == 1.0


def test_times_after_the_close_move_with_it() -> None:
    spec = read_metadata(metadata(), "KXT-1-00").spec(10 * S, 1_700_000_000 * S)
    assert spec.extra["expiration_time"] == "2023-11-14T23:13:20Z"


def test_the_outcome_is_kept_for_the_determination() -> None:
    tape = read_metadata(metadata(), "KXT-1-00")
    assert (tape.result, tape.value_e4) == ("yes", 10_000)
    assert tape.determined_ms - tape.close_ms == 4_134


@pytest.mark.parametrize(
    "broken",
    [{"result": ""}, {"close_time": "soon"}, {"price_ranges": []}, {"settlement_value_dollars": "2.0"}],
)
def test_broken_metadata_is_refused_by_name(broken: dict[str, object]) -> None:
    with pytest.raises(MetadataMalformed, match="KXT-1-00"):
        read_metadata(metadata(**broken), "KXT-1-00")


def test_metadata_of_another_event_is_refused() -> None:
    with pytest.raises(MetadataMalformed, match="OTHER"):
        read_metadata(metadata(), "OTHER")


@requires_shared
def test_no_recorded_listing_holds_a_value_that_was_known_at_the_end_only() -> None:
    """Compare texts: nothing of result, last prices, volumes or previous quotes may appear in a listing."""
    for path in sorted((shared_dir() / "data/kalshi-gold15m/metadata").glob("*.json")):
        recorded = json.loads(path.read_bytes())
        for market in recorded["response"]["markets"]:
            spec = read_metadata(recorded, market["ticker"]).spec(S, 91 * S)
            told = json.dumps({**spec.extra, "title": spec.title, "yes": spec.yes_subtitle})
            for name in (
                "expiration_value",
                "volume_fp",
                "open_interest_fp",
                "settlement_ts",
                "updated_time",
            ):
                assert str(market[name]) not in told, (path.name, name)
            assert not any(
                word in spec.extra for word in market if word.startswith(("previous", "last", "result"))
            )
