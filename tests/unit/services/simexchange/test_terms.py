"""The venue's terms as its own clients read them: keys, attestation, tier, schedule, announced fees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common.kalshi.model import AccountLimits, Bucket, FeeChange, Session
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.token_bucket import TokenBucket
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import SystemClock
from tests.support.venue import CENT_MARKET, RunningVenue, running_venue

EVENT, SERIES = "SIMTEST-26NOV21", "SIMTEST"
DAY_MS = 86_400_000


@pytest.fixture
def venue() -> Iterator[RunningVenue]:
    with running_venue() as running:
        yield running


@pytest.fixture
async def reader(venue: RunningVenue) -> AsyncIterator[VenueReader]:
    key, clock = venue.keys["alice"], SystemClock()
    transport = make_transport(venue.rest_url)
    fast = TokenBucket(Bucket(1_000_000, 1_000_000), clock.mono_ns())
    signer = Signer.from_pem(key.key_id, key.private_pem)
    yield VenueReader(venue.rest_url, transport, signer, clock, budget=fast)
    await transport.aclose()


def now_ms() -> int:
    return SystemClock().now_ns() // 1_000_000


async def test_a_member_sees_its_own_keys_and_what_each_may_do(
    venue: RunningVenue, reader: VenueReader
) -> None:
    key_id = venue.keys["alice"].key_id
    keys = await reader.api_keys()
    assert [(key.key_id, key.scopes) for key in keys.keys] == [(key_id, frozenset(("read", "write")))]
    assert keys.region_expires_ms is None

    venue.sim("POST", "scopes", {"key_id": key_id, "scopes": ["read", "write::trade"]})
    venue.sim("POST", "attested", {"account": "alice", "seconds": 86_400})

    keys = await reader.api_keys()
    assert keys.keys[0].scopes == {"read", "write::trade"}
    assert keys.region_expires_ms is not None
    assert abs(keys.region_expires_ms - now_ms() - DAY_MS) < 60_000


async def test_a_tier_is_lowered_with_its_buckets_and_tells_when_it_ends(
    venue: RunningVenue, reader: VenueReader
) -> None:
    before = await reader.limits()
    assert (before.tier, before.expires_ms) == ("prestige", None)

    venue.sim("POST", "tier", {"account": "alice", "tier": "basic", "seconds": 86_400})

    after = await reader.limits()
    assert after == AccountLimits("basic", Bucket(200, 600), Bucket(100, 100), after.expires_ms)
    assert after.expires_ms is not None
    assert abs(after.expires_ms - now_ms() - DAY_MS) < 60_000
    batch = {"orders": [{"order_id": "none", "market_ticker": CENT_MARKET}] * 51}
    refused = venue.request("DELETE", "/portfolio/events/orders/batched", batch)
    assert refused.status_code == 429, "a batch that the small bucket does not hold"


async def test_hours_and_maintenance_are_told_as_they_were_announced(
    venue: RunningVenue, reader: VenueReader
) -> None:
    always = await reader.schedule()
    assert always.hours[0].days == ((Session(0, 1_440),),) * 7
    assert always.maintenance == ()

    hours = {"thursday": [["00:00", "03:00"], ["05:00", "00:00"]], "sunday": [["08:00", "03:00"]]}
    venue.sim("POST", "schedule", {"hours": hours, "maintenance": [[60, 120]]})

    told = await reader.schedule()
    assert told.hours[0].days[3] == (Session(0, 180), Session(300, 1_440))
    assert told.hours[0].days[6] == (Session(480, 1_620),)
    ((start_ms, end_ms),) = told.maintenance
    assert end_ms - start_ms == 60_000


async def test_announced_fees_come_true_at_their_moment_and_an_override_stays_over_its_series(
    venue: RunningVenue, reader: VenueReader
) -> None:
    terms = {"fee_type": "quadratic_with_maker_fees", "multiplier_e4": 5_000}
    told = venue.sim("POST", "fee_changes", {"series": SERIES, "seconds": 3_600, **terms})
    assert await reader.fee_changes() == [
        FeeChange(told["id"], SERIES, "", "quadratic_with_maker_fees", 5_000, told["at_ms"])
    ]
    assert (await reader.series(SERIES)).fee_multiplier_e4 == 10_000

    venue.sim("POST", "fee_changes", {"series": SERIES, "seconds": 0, **terms})
    venue.sim("POST", "fee_changes", {"event": EVENT, "seconds": 0, "multiplier_e4": 0})

    assert (await reader.series(SERIES)).fee_multiplier_e4 == 5_000
    event = await reader.event(EVENT)
    assert (event.fee_type_override, event.fee_multiplier_override_e4) == (None, 0)
    terms_now = venue.call(lambda: venue.venue.floor.markets[CENT_MARKET].terms)
    assert (terms_now.fee_type, terms_now.multiplier_e4) == ("quadratic_with_maker_fees", 0)
    venue.sim("POST", "fee_changes", {"event": EVENT, "seconds": 0})
    terms_now = venue.call(lambda: venue.venue.floor.markets[CENT_MARKET].terms)
    assert terms_now.multiplier_e4 == 5_000
    assert [change.change_id for change in await reader.fee_changes()] == [told["id"]]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("tier", {"account": "alice", "tier": "emperor"}),
        ("attested", {"account": "nobody"}),
        ("scopes", {"key_id": "none", "scopes": []}),
        ("schedule", {"hours": {"someday": []}}),
        ("fee_changes", {"series": "NONE", "seconds": 1, "fee_type": "quadratic", "multiplier_e4": 1}),
        ("fee_changes", {"series": SERIES, "seconds": 1}),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    venue: RunningVenue, path: str, body: dict[str, object]
) -> None:
    with pytest.raises(AssertionError, match="error"):
        venue.sim("POST", path, body)
    assert venue.venue.floor.announced.fee_changes == {}
    assert venue.venue.accounts["alice"].tier == "prestige"
