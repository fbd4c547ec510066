"""The local latch: a fsynced file that remembers a halt when the bus forgets it.

Third of the three carriers of a halt (design rule 7). Written as temporary
file, fsync, rename, fsync of the folder, so that a power cut leaves the old or
the new word and never half of one. Anything that is not a readable "running"
is halted: an absent file (a fresh machine, a wiped disk) included.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from libs.common.messages.control import GateState

UNSTORED = -1
"""Sequence of a halt that no stream has a copy of: it must be stored before a resume can name it."""


class _Record(msgspec.Struct, frozen=True):
    """What the file holds."""

    is_halted: bool
    halt_sequence: int
    reason: str
    written_ns: int
    level: GateState = GateState.HALTED
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class LatchWord:
    """What the file says.

    Attributes:
        is_halted: True also for a file that is absent or unreadable.
        halt_sequence: The halt's sequence in the control stream; 0 for an absent file, `UNSTORED`
            for a halt without a stored copy and for a file that cannot be read.
        reason: Why; for an unreadable file what was wrong with it.
        level: How strongly; what cannot be read stops everything.
        stamp: When the stream stored that halt, in its own words: another stream has another record in
            its place. Empty where that is not known.
    """

    is_halted: bool
    halt_sequence: int
    reason: str
    level: GateState = GateState.HALTED
    stamp: str = ""


class LatchFile:
    """The latch of one service on one machine: ``<state_dir>/<service>-latch.json``."""

    def __init__(self, state_dir: Path, service: str) -> None:
        self._path = state_dir / f"{service}-latch.json"

    @property
    def path(self) -> Path:
        """Return where the latch lies."""
        return self._path

    def read(self) -> LatchWord:
        """Return the word; whatever cannot be read is halted."""
        try:
            record = msgspec.json.decode(self._path.read_bytes(), type=_Record)
        except FileNotFoundError:
            return LatchWord(is_halted=True, halt_sequence=0, reason="no local latch file")
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as e:
            return LatchWord(
                is_halted=True, halt_sequence=UNSTORED, reason=f"local latch file unreadable: {e}"
            )
        return LatchWord(record.is_halted, record.halt_sequence, record.reason, record.level, record.stamp)

    def halt(
        self,
        halt_sequence: int,
        reason: str,
        now_ns: int,
        level: GateState = GateState.HALTED,
        stamp: str = "",
    ) -> None:
        """Remember a halt, durably, before returning.

        Raises:
            OSError: The disk refused; the caller stays halted in memory.
        """
        self._write(_Record(True, halt_sequence, reason[:500], now_ns, level, stamp))

    def clear(self, halt_sequence: int, reason: str, now_ns: int, stamp: str = "") -> None:
        """Remember that the halt up to ``halt_sequence`` was lifted by a verified resume.

        Raises:
            OSError: The disk refused; the caller must stay halted.
        """
        self._write(_Record(False, halt_sequence, reason[:500], now_ns, stamp=stamp))

    def _write(self, record: _Record) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        # Without this the rename itself may be lost with the power.
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
