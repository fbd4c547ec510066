"""Money in and out, and between shards, as REST answers it; amounts are exact and signed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from libs.common.kalshi.model import OUTSIDE_SHARD, Bucket, VenueFunding, VenueTransfer
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.token_bucket import TokenBucket
from libs.common.kalshi.transport import make_transport
from libs.common.kalshi.wire_account import FundingWire, TransferWire, deposit_of, transfer_of
from libs.common.kalshi.wire_text import MalformedWire
from libs.common.runtime.clock import SystemClock
from tests.support.scripted_http import ScriptedHttp, Seen, answer, scripted_http
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM

TRANSFER = {
    "transfer_id": "t1",
    "source": "event_contract",
    "destination": "event_contract",
    "source_exchange_shard": 0,
    "destination_exchange_shard": 2,
    "amount": "12.3456",
    "status": "pending",
    "created_ts": 1_700_000_000,
}
FUNDING = {
    "id": "f1",
    "status": "applied",
    "type": "ach",
    "amount_cents": 12_345,
    "fee_cents": 25,
    "created_ts": 1_700_000_000,
    "finalized_ts": 1_700_000_060,
}


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    async with scripted_http(lambda _: answer(200, {})) as running:
        yield running


@pytest.fixture
async def reader(http: ScriptedHttp) -> AsyncIterator[VenueReader]:
    transport, clock = make_transport(http.url), SystemClock()
    fast = TokenBucket(Bucket(1_000_000, 1_000_000), clock.mono_ns())
    yield VenueReader(http.url, transport, Signer.from_pem("k", ED25519_PEM), clock, budget=fast)
    await transport.aclose()


async def test_transfers_are_read_page_by_page_with_their_shards_and_their_status(
    http: ScriptedHttp, reader: VenueReader
) -> None:
    def script(seen: Seen) -> bytes:
        if "cursor=" in seen.query:
            last = TRANSFER | {"transfer_id": "t2", "destination": "margined", "status": "complete"}
            return answer(200, {"transfers": [last]})
        return answer(200, {"transfers": [TRANSFER], "cursor": "next"})

    http.script = script

    assert await reader.transfers() == [
        VenueTransfer("t1", 0, 2, 12_345_600, "pending", 1_700_000_000_000),
        VenueTransfer("t2", 0, OUTSIDE_SHARD, 12_345_600, "complete", 1_700_000_000_000),
    ]
    assert all("limit=500" in seen.query for seen in http.seen)


async def test_deposits_add_and_withdrawals_take_away(http: ScriptedHttp, reader: VenueReader) -> None:
    def script(seen: Seen) -> bytes:
        pending = FUNDING | {"id": "f2", "status": "pending", "finalized_ts": None}
        word = "deposits" if "deposits" in seen.path else "withdrawals"
        return answer(200, {word: [FUNDING, pending], "cursor": ""})

    http.script = script

    applied = VenueFunding("f1", 123_450_000, "applied", 1_700_000_060_000, 250_000)
    assert await reader.deposits() == [applied, VenueFunding("f2", 123_450_000, "pending", 0, 250_000)]
    assert [funding.amount_e6 for funding in await reader.withdrawals()] == [-123_450_000, -123_450_000]
    assert [funding.is_applied for funding in await reader.withdrawals()] == [True, False]


def test_a_transfer_of_nothing_is_one() -> None:
    for amount in ("0", "0.0000"):
        wire = msgspec.convert(TRANSFER | {"amount": amount}, TransferWire)
        assert transfer_of(wire).amount_e6 == 0


def test_an_amount_below_zero_is_no_amount() -> None:
    with pytest.raises(MalformedWire, match="transfer of zero or more"):
        transfer_of(msgspec.convert(TRANSFER | {"amount": "-1.0000"}, TransferWire))
    with pytest.raises(MalformedWire, match="amount and fee of zero or more"):
        deposit_of(msgspec.convert(FUNDING | {"amount_cents": -1}, FundingWire))
