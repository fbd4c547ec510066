"""One reading of the venue over HTTP: what a key may not see is named, and nothing else is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from libs.common.kalshi.model import Bucket
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.token_bucket import TokenBucket
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.errors import VenueRefused
from services.reconciler.shell.lister import Lister
from tests.support.scripted_http import Script, ScriptedHttp, Seen, answer, scripted_http
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM
from tests.unit.libs.common.kalshi.test_wire_account import FUNDING, TRANSFER

BUCKET = {"refill_rate": 1_000_000, "bucket_capacity": 1_000_000}
ANSWERS: dict[str, object] = {
    "limits": {"usage_tier": "prestige", "read": BUCKET, "write": BUCKET},
    "endpoint_costs": {"default_cost": 10},
    "orders": {"orders": []},
    "positions": {"market_positions": []},
    "balance": {
        "balance_dollars": "1.0000",
        "balance_breakdown": [{"exchange_index": 2, "balance": "1.0000"}],
    },
    "settlements": {"settlements": []},
    "intra_exchange_instance_transfers": {"transfers": [TRANSFER]},
    "deposits": {"deposits": [FUNDING]},
    "withdrawals": {"withdrawals": [FUNDING | {"id": "f2"}]},
    "fills": {"fills": []},
}


@pytest.fixture
async def http() -> AsyncIterator[ScriptedHttp]:
    async with scripted_http(lambda seen: answer(200, ANSWERS[last_of(seen)])) as running:
        yield running


@pytest.fixture
async def lister(http: ScriptedHttp) -> AsyncIterator[Lister]:
    transport, clock = make_transport(http.url), SystemClock()
    full = TokenBucket(Bucket(1_000_000, 1_000_000), clock.mono_ns())
    yield Lister(
        VenueReader(http.url, transport, Signer.from_pem("k", ED25519_PEM), clock, budget=full), clock
    )
    await transport.aclose()


def last_of(seen: Seen) -> str:
    return seen.path.rpartition("/")[2]


def refusing(word: str, status: int) -> Script:
    def script(seen: Seen) -> bytes:
        if last_of(seen) == word:
            return answer(status, {"error": {"code": "forbidden", "message": "locked to a subaccount"}})
        return answer(200, ANSWERS[last_of(seen)])

    return script


async def test_a_reading_holds_the_money_that_moved_without_trades_and_ends_with_the_fills(
    http: ScriptedHttp, lister: Lister
) -> None:
    listing = await lister.read(None, 1_000)

    assert [transfer.amount_e6 for transfer in listing.transfers] == [12_345_600]
    assert [funding.amount_e6 for funding in listing.fundings] == [123_450_000, -123_450_000]
    assert listing.balance is not None
    assert (dict(listing.balance.by_shard), listing.untold) == ({2: 1_000_000}, ())
    asked = [last_of(seen) for seen in http.seen]
    assert asked.index("balance") < asked.index("intra_exchange_instance_transfers") < asked.index("fills")
    assert asked[-1] == "fills"


@pytest.mark.parametrize("word", ["intra_exchange_instance_transfers", "deposits", "withdrawals"])
async def test_a_list_that_the_key_may_not_see_is_named_and_the_rest_is_told(
    http: ScriptedHttp, lister: Lister, word: str
) -> None:
    http.script = refusing(word, 403)

    listing = await lister.read(None, 1_000)

    assert len(listing.untold) == 1
    assert "may not be read: 403 forbidden" in listing.untold[0]
    assert len(listing.transfers) + len(listing.fundings) == 2


async def test_any_other_refusal_is_no_reading(http: ScriptedHttp, lister: Lister) -> None:
    http.script = refusing("deposits", 400)

    with pytest.raises(VenueRefused, match="deposits"):
        await lister.read(None, 1_000)
