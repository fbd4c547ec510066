"""`contract_rate`: too many contracts filled within a minute."""

from __future__ import annotations

from services.riskguard.core.conduct.view import ConductView
from tests.support.conduct_builders import Seen, fired


def test_it_fires_above_its_limit_and_latches() -> None:
    at, over = ConductView(contracts_last_minute_e2=500), ConductView(contracts_last_minute_e2=501)
    assert fired("contract_rate", at, contracts_per_minute_e2=500) is None
    told = fired("contract_rate", over, contracts_per_minute_e2=500)
    assert told is not None
    assert (told.limit, told.was, told.is_latching) == (500, 501, True)


def test_the_contracts_of_a_minute_add_up_whichever_side() -> None:
    seen = Seen()
    seen.fill(qty_e2=250)
    seen.wait(59)
    seen.fill(qty_e2=251)
    assert fired("contract_rate", seen.view(), contracts_per_minute_e2=500) is not None
    seen.wait(1)
    assert seen.view().contracts_last_minute_e2 == 251
    assert fired("contract_rate", seen.view(), contracts_per_minute_e2=500) is None
