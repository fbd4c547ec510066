"""No signature is made while an order waits: a thread made it before (frontier 4.3)."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.signing import Signer
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote
from tests.support.executor_world import executor_world


async def test_creates_amends_and_cancels_leave_with_headers_signed_ahead(
    streams_url: str, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[tuple[str, str]] = []
    sign = Signer.headers

    def watched(self: Signer, method: str, path: str, now_ms: int) -> dict[str, str]:
        signed.append((threading.current_thread().name, path))
        return sign(self, method, path, now_ms)

    monkeypatch.setattr(Signer, "headers", watched)
    async with executor_world(streams_url, connect, tmp_path) as world:
        await world.resume()
        executor = await world.start()
        signed.clear()
        await world.target(a_quote(Side.BID, 5_700, 500), a_quote(Side.ASK, 6_300, 500))
        await world.until_resting(2)
        await eventually(lambda: any("amend" in path for _, path in signed))
        await world.target(a_quote(Side.BID, 5_800, 500), a_quote(Side.ASK, 6_200, 500))
        await eventually(
            lambda: {o.price_e4 for o in executor.engine.account.orders.live()} == {5_800, 6_200}
        )
        await world.target()
        await world.until_resting(0)

        assert executor.gauge("signed_ahead") > 0
        assert executor.gauge("signed_inline") == 0

    orders = "/portfolio/events/orders"
    assert [path for thread, path in signed if thread != "presign" and orders in path] == []
