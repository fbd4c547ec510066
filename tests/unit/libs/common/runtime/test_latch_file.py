"""The local latch file: halted unless it readably says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.common.runtime.latch_file import LatchFile


def test_absent_file_is_halted(tmp_path: Path) -> None:
    assert LatchFile(tmp_path, "executor").read().is_halted


@pytest.mark.parametrize("data", [b"", b"{", b"null", b'{"is_halted":"no"}', b"\xff\xfe", b"[]"])
def test_unreadable_file_is_halted(tmp_path: Path, data: bytes) -> None:
    latch = LatchFile(tmp_path, "executor")
    latch.path.write_bytes(data)
    assert latch.read().is_halted


def test_word_survives_a_new_reader(tmp_path: Path) -> None:
    LatchFile(tmp_path / "deep", "executor").halt(7, "loss", 1)
    word = LatchFile(tmp_path / "deep", "executor").read()
    assert (word.is_halted, word.halt_sequence, word.reason) == (True, 7, "loss")
    LatchFile(tmp_path / "deep", "executor").clear(7, "resumed", 2)
    assert not LatchFile(tmp_path / "deep", "executor").read().is_halted


def test_folder_in_the_place_of_the_file_is_halted(tmp_path: Path) -> None:
    latch = LatchFile(tmp_path, "executor")
    latch.path.mkdir()
    assert latch.read().is_halted


def test_nothing_is_left_beside_the_latch(tmp_path: Path) -> None:
    LatchFile(tmp_path, "executor").halt(1, "x", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["executor-latch.json"]
