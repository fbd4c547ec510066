"""Write docs/subjects.md from the subject table, the stream layout and the grants; ``--check`` only compares.

python -m tools.generate_subjects           writes
python -m tools.generate_subjects --check   exits 1 when the file is not what the tables say
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from libs.common.bus.layout import STREAMS, config_bucket, stream_config
from libs.common.bus.permissions import ASKS, STREAMS_READ, grants
from libs.common.env import Env
from libs.common.subjects import FAMILIES, Subjects
from tools.generated import write_or_compare

TARGET: Final = Path(__file__).resolve().parent.parent / "docs" / "subjects.md"
_ENV: Final = Env.SIM
_NONE: Final = "none"
_ORIGIN: Final = (
    "Written by `python -m tools.generate_subjects` from `libs/common/subjects.py`,"
    " `libs/common/bus/layout.py` and `libs/common/bus/permissions.py`; do not edit."
)
_KEYS: Final = (
    "A subject is `dora.<env>.<family>.<key>…`. Any character of a key outside letters, digits, dash and"
    " underscore is written `=XX` per UTF-8 byte, so `KXHIGHNY-26NOV21-B52.5` becomes"
    " `KXHIGHNY-26NOV21-B52=2E5`."
)
_STORAGE: Final = (
    "File storage, every acknowledged write synced, no delete, no purge; made by `dora init`. The `sim`"
    " environment keeps an eighth of the bytes."
)
_GRANTED: Final = (
    "What each may publish in `sim`, which streams it may read (by question to the leader; nobody but"
    " `init` may create a consumer or change a stream), and whose endpoints it may ask (`*` is everybody's)."
)


def render() -> str:
    """Return the document."""
    return "\n".join((*_head(), *_families(), *_streams(), *_identities(), ""))


def _head() -> list[str]:
    return [
        "# Subjects, streams, identities",
        "",
        _ORIGIN,
        "",
        _KEYS,
        "",
    ]


def _families() -> list[str]:
    rows = []
    for family in FAMILIES:
        kept = f"; kept in {family.stream.value}" if family.stream else ""
        cells = (
            f"`{family.name}`",
            ", ".join(family.publishers),
            family.carriage.value + kept,
            family.keys,
            family.schema or _NONE,
            family.purpose,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return [
        "## Families",
        "",
        "| family | publisher | carriage | keys | schema | what it is |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _streams() -> list[str]:
    subjects = Subjects(_ENV)
    rows = []
    for spec in STREAMS:
        config = stream_config(subjects, spec, 1)
        age = f"{spec.age_days_max} days" if spec.age_days_max else "for ever"
        captured = ", ".join(f"`{subject}`" for subject in config["subjects"])
        rows.append(
            f"| `{config['name']}` | {captured} | {age}, {spec.bytes_max >> 20} MiB"
            f" | {config['discard']} | {'any replica' if spec.allow_direct else 'the leader only'}"
            f" | {spec.duplicate_window_s} s |"
        )
    return [
        "## Streams",
        "",
        _STORAGE,
        "",
        "| stream (sim) | captures | keeps | when full discards | reads are answered by | duplicate window |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"Configuration is the key-value bucket `{config_bucket(_ENV)}` (one for each environment).",
        "",
    ]


def _identities() -> list[str]:
    rows = []
    for identity in ("init", *STREAMS_READ):
        granted = grants(_ENV, identity)
        publish = ", ".join(
            f"`{pattern}`" for pattern in granted.publish if not pattern.startswith("$JS.API.STREAM")
        )
        reads = ", ".join(stream.value for stream in STREAMS_READ.get(identity, ())) or _NONE
        asks = ", ".join(ASKS.get(identity, ())) or _NONE
        if asks != _NONE and granted.deny_publish:
            asks += "; not " + ", ".join(f"`{subject}`" for subject in granted.deny_publish)
        rows.append(f"| {identity} | {publish} | {reads} | {asks} |")
    return [
        "## Identities",
        "",
        _GRANTED,
        "",
        "| identity | may publish | may read | may ask |",
        "|---|---|---|---|",
        *rows,
    ]


def main(arguments: list[str]) -> int:
    """Write or compare; return the exit code."""
    return write_or_compare(TARGET, render(), arguments, "tools.generate_subjects")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
