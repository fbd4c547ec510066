from __future__ import annotations

from pathlib import Path

import pytest

from services.simexchange.shell.tape_files import TapeMissing, find_tapes
from tests.support.recording import MARKET, busy_lines, write_recording


@pytest.mark.parametrize("where", ["", "events", f"events/{MARKET}", f"events/{MARKET}/2026-08-06.ndjson.gz"])
def test_a_recording_is_found_from_any_level(tmp_path: Path, where: str) -> None:
    write_recording(tmp_path, busy_lines(9))
    (tape,) = find_tapes(tmp_path / where)
    assert tape.market.market == MARKET
    assert sum(1 for _ in tape.events()) == 10


def test_days_of_one_market_follow_each_other(tmp_path: Path) -> None:
    write_recording(tmp_path, busy_lines(9))
    first = tmp_path / "events" / MARKET / "2026-08-06.ndjson.gz"
    (first.parent / "2026-08-07.ndjson.gz").write_bytes(first.read_bytes())
    (tape,) = find_tapes(tmp_path)
    assert sum(1 for _ in tape.events()) == 20


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapeMissing, match="recording"):
        find_tapes(tmp_path / "nothing")
    with pytest.raises(TapeMissing, match="none"):
        find_tapes(tmp_path)
    write_recording(tmp_path, busy_lines(1))
    metadata = tmp_path / "metadata" / "KXT-1.json"
    metadata.write_text("{}")
    with pytest.raises(TapeMissing, match=MARKET):
        find_tapes(tmp_path)
    metadata.unlink()
    with pytest.raises(TapeMissing, match=MARKET):
        find_tapes(tmp_path)
