"""The streams and the bucket of one environment: what they keep, how much, and which subject is where.

Made by `dora init` (`streams.py`), never by a service. CONTROL and EXEC are
read from their leader only (``allow_direct`` off): a follower may answer with
the past, and an old "resumed" is worse than no answer. ``discard new`` makes a
full stream refuse, so that an order without a journal is impossible; nothing
may be deleted or purged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from libs.common.bus.match import overlaps
from libs.common.env import Env
from libs.common.subjects import Stream, Subjects

_MIB: Final = 1 << 20
_DAY_NS: Final = 86_400 * 1_000_000_000
_SECOND_NS: Final = 1_000_000_000

_SMALL: Final = 8
"""The simulated environment keeps this part: the server reserves the bytes, on laptops and in tests too."""

CONFIG_HISTORY: Final = 16
INIT_HALT_SOURCE: Final = "init"
"""A fresh CONTROL stream gets one halt from this source: born halted."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What one stream keeps. An age of 0 keeps everything until the bytes are used up."""

    stream: Stream
    bytes_max: int
    age_days_max: int
    duplicate_window_s: int
    allow_direct: bool
    message_bytes_max: int
    is_recording: bool = False
    """A recording drops its oldest when full; everything else refuses the newest."""


STREAMS: Final[tuple[StreamSpec, ...]] = (
    StreamSpec(Stream.CONTROL, 64 * _MIB, 0, 120, allow_direct=False, message_bytes_max=64 * 1024),
    StreamSpec(Stream.EXEC, 2_048 * _MIB, 0, 600, allow_direct=False, message_bytes_max=256 * 1024),
    StreamSpec(Stream.AUDIT, 2_048 * _MIB, 90, 120, allow_direct=True, message_bytes_max=1024 * 1024),
    StreamSpec(
        Stream.MD, 1_024 * _MIB, 7, 120, allow_direct=True, message_bytes_max=256 * 1024, is_recording=True
    ),
)


def stream_config(subjects: Subjects, spec: StreamSpec, replicas: int) -> dict[str, Any]:
    """Return the stream's configuration in the words of the server's API."""
    return {
        "name": subjects.stream_name(spec.stream),
        "description": f"dora {subjects.env.value}: {spec.stream.value.lower()}",
        "subjects": sorted(subjects.stream_subjects(spec.stream)),
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "max_bytes": spec.bytes_max // (_SMALL if subjects.env is Env.SIM else 1),
        "max_age": spec.age_days_max * _DAY_NS,
        "max_msg_size": spec.message_bytes_max,
        "duplicate_window": spec.duplicate_window_s * _SECOND_NS,
        "discard": "old" if spec.is_recording else "new",
        "allow_direct": spec.allow_direct,
        "mirror_direct": False,
        "allow_rollup_hdrs": False,
        "deny_delete": True,
        "deny_purge": True,
    }


def config_bucket(env: Env) -> str:
    """Return the name of the configuration bucket, for example ``sim-cfg``."""
    return f"{env.value}-cfg"


def config_stream(env: Env) -> str:
    """Return the stream that backs the configuration bucket."""
    return f"KV_{config_bucket(env)}"


def config_subject(env: Env, key: str) -> str:
    """Return the subject of a configuration key or pattern of keys."""
    return f"$KV.{config_bucket(env)}.{key}"


def bucket_config(env: Env, replicas: int) -> dict[str, Any]:
    """Return the bucket's stream as every NATS client makes it, but read from the leader only."""
    return {
        "name": config_stream(env),
        "description": f"dora {env.value}: configuration",
        "subjects": [config_subject(env, ">")],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "max_msgs_per_subject": CONFIG_HISTORY,
        "max_bytes": 64 * _MIB,
        "max_msg_size": 1024 * 1024,
        "duplicate_window": 120 * _SECOND_NS,
        "discard": "new",
        "allow_direct": False,
        "mirror_direct": False,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "deny_purge": False,
    }


def stream_of(subjects: Subjects, pattern: str) -> str | None:
    """Return the one stream that keeps what the pattern means, or None if nothing is kept of it.

    Raises:
        ValueError: The pattern spans several streams, which no single order of messages covers.
    """
    if pattern.startswith(config_subject(subjects.env, "")):
        return config_stream(subjects.env)
    found = [
        subjects.stream_name(spec.stream)
        for spec in STREAMS
        if any(overlaps(pattern, subject) for subject in subjects.stream_subjects(spec.stream))
    ]
    if len(found) > 1:
        raise ValueError(f"a pattern within one stream, was {pattern!r} over {', '.join(found)}")
    return found[0] if found else None
