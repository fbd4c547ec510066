"""Find recordings on disk: a file, a market's folder, or a whole collection.

The layout is that of `kalshi-gold15m`: ``events/<market>/<date>.ndjson.gz`` with
``metadata/<event>.json`` beside ``events``. Files are opened when their turn
comes and read line by line.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.simexchange.core.tape import TapeEvent, read_tape
from services.simexchange.core.tape_market import MetadataMalformed, TapeMarket, read_metadata

SUFFIX = ".ndjson.gz"


class TapeMissing(ValueError):  # noqa: N818 - named for what was found
    """Nothing to play where a recording was promised."""


@dataclass(frozen=True, slots=True)
class Tape:
    """One market's recording."""

    market: TapeMarket
    files: tuple[Path, ...]

    def events(self) -> Iterator[TapeEvent]:
        """Yield the recorded events, reading as they are asked for."""
        return read_tape(self._lines(), self.market.market)

    def _lines(self) -> Iterator[bytes]:
        for path in self.files:
            with gzip.open(path, "rb") as file:
                yield from file


def find_tapes(where: Path) -> list[Tape]:
    """Return every recording at this path, by name.

    Raises:
        TapeMissing: No such path, no recordings in it, or no metadata beside them.
    """
    if where.is_file():
        return [_tape(where.parent, (where,))]
    if not where.is_dir():
        raise TapeMissing(f"a recording or a folder of recordings, was {str(where)!r}")
    if files := sorted(where.glob(f"*{SUFFIX}")):
        return [_tape(where, tuple(files))]
    root = where / "events" if (where / "events").is_dir() else where
    tapes = [
        _tape(folder, tuple(files))
        for folder in sorted(root.iterdir())
        if folder.is_dir() and (files := sorted(folder.glob(f"*{SUFFIX}")))
    ]
    if not tapes:
        raise TapeMissing(f"recordings (*{SUFFIX}) below {str(where)!r}, was none")
    return tapes


def _tape(folder: Path, files: tuple[Path, ...]) -> Tape:
    market = folder.name
    event = market.rpartition("-")[0]
    path = folder.parent.parent / "metadata" / f"{event}.json"
    try:
        metadata = msgspec.json.decode(path.read_bytes())
        return Tape(read_metadata(metadata, market), files)
    except OSError as e:
        raise TapeMissing(f"metadata of {market} at {str(path)!r} ({e.strerror})") from e
    except (msgspec.DecodeError, MetadataMalformed) as e:
        raise TapeMissing(f"metadata of {market} at {str(path)!r}: {e}") from e
