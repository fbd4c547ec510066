"""What the guard reads of our money with a key that may not see every list."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.model import Bucket
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.token_bucket import TokenBucket
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.errors import VenueRefused
from libs.common.runtime.log import EventLog
from services.riskguard.shell.venue import VenueHands
from tests.support.scripted_http import ScriptedHttp, scripted_http
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM
from tests.unit.services.reconciler.test_lister import refusing


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    async with scripted_http(refusing("deposits", 403)) as running:
        yield running


@pytest.fixture
async def hands(http: ScriptedHttp) -> AsyncIterator[VenueHands]:
    transport, clock, signer = make_transport(http.url), SystemClock(), Signer.from_pem("k", ED25519_PEM)
    full = TokenBucket(Bucket(1_000_000, 1_000_000), clock.mono_ns())
    reader = VenueReader(http.url, transport, signer, clock, budget=full)
    yield VenueHands(reader, Canceller(http.url, transport, signer, clock), clock, EventLog())
    await transport.aclose()


async def test_a_list_that_the_key_may_not_see_costs_its_moves_and_no_more(hands: VenueHands) -> None:
    told = await hands.balance()

    assert dict(told.by_shard) == {2: 1_000_000}
    assert sorted(move.amounts_e6[0] for move in told.moves) == [-123_450_000, -12_345_600, 12_345_600]


async def test_any_other_refusal_is_no_reading(http: ScriptedHttp, hands: VenueHands) -> None:
    http.script = refusing("deposits", 400)
    with pytest.raises(VenueRefused):
        await hands.balance()
