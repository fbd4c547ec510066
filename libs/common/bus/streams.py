"""Making the streams, the bucket and the first halt; what `dora init` does, and what start-up checks.

Idempotent: what is there and right is left alone, what is there and different
is refused with the difference, because a stream that silently keeps less than
we think is worse than no stream. A fresh CONTROL stream gets one halt, so that a
new installation is born halted like everything else.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
import uuid
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from libs.common.bus.api import Bus, BusUnavailable
from libs.common.bus.layout import (
    INIT_HALT_SOURCE,
    STREAMS,
    StreamSpec,
    bucket_config,
    stream_config,
)
from libs.common.bus.nats import NatsBus
from libs.common.bus.wire import API, InfoAnswer, parse_info
from libs.common.env import Env
from libs.common.messages.base import encode
from libs.common.messages.control import HaltV1
from libs.common.runtime.errors import ConfigError
from libs.common.subjects import Stream, Subjects

__all__ = [
    "INIT_HALT_SOURCE",
    "STREAMS",
    "StreamSpec",
    "assert_sync_always",
    "create_consumer",
    "create_streams",
]

_TIMEOUT_S: Final = 10.0
_MONITORING_TIMEOUT_S: Final = 5.0


async def create_streams(
    bus_url: str, env: Env, replicas: int = 1, *, user: str = "", password: str = ""
) -> list[str]:
    """Make what is missing for an environment and return the names that were made.

    Raises:
        BusUnavailable: The server cannot be reached or JetStream is off.
        ConfigError: Something is there with other settings; nothing is changed.
    """
    subjects = Subjects(env)
    bus = await NatsBus.connect(bus_url, name="init", env=env, user=user, password=password)
    try:
        wanted = [stream_config(subjects, spec, replicas) for spec in STREAMS] + [
            bucket_config(env, replicas)
        ]
        made = [config["name"] for config in wanted if await _ensure(bus, config)]
        await _ensure_first_halt(bus, subjects)
    finally:
        await bus.drain()
    return made


async def _ensure_first_halt(bus: NatsBus, subjects: Subjects) -> None:
    # Asked every time: an `init` that died between the stream and the halt is mended by the next one.
    if await bus.last(f"{subjects.root}.ctl.>") is None:
        halt = HaltV1(reason="born halted", trigger="init", by="dora init")
        await bus.append(
            subjects.of("ctl.halt", INIT_HALT_SOURCE), encode(halt), msg_id=f"init-{uuid.uuid4().hex}"
        )


async def _ensure(bus: Bus, wanted: dict[str, Any]) -> bool:
    name = wanted["name"]
    found = await _info(bus, name)
    if found is None:
        answer = await bus.request(
            f"{API}STREAM.CREATE.{name}", msgspec.json.encode(wanted), timeout_s=_TIMEOUT_S
        )
        found = parse_info(answer.data)
        if found is None:
            raise BusUnavailable(f"stream {name} made, was: {answer.data[:200]!r}")
        _compare(name, wanted, found.config)
        return True
    _compare(name, wanted, found.config)
    return False


async def _info(bus: Bus, name: str) -> InfoAnswer | None:
    return parse_info((await bus.request(f"{API}STREAM.INFO.{name}", b"{}", timeout_s=_TIMEOUT_S)).data)


def _compare(name: str, wanted: dict[str, Any], found: dict[str, object]) -> None:
    """Refuse a stream whose settings differ; defaults that the server leaves out count as false or zero."""
    for key, value in wanted.items():
        was = found.get(key)
        if key == "subjects" and isinstance(was, list):
            was = sorted(was)
        if was != value and not (not was and not value):
            raise ConfigError(f"stream {name}: expected {key} {value!r}, was {was!r}; nothing was changed")


async def create_consumer(bus: Bus, subjects: Subjects, stream: Stream, durable: str, pattern: str) -> None:
    """Make a durable pull consumer: places that survive restarts are made by `dora init`, services bind only.

    Raises:
        BusUnavailable: Refused or not answered.
    """
    name = subjects.stream_name(stream)
    wanted = {
        "stream_name": name,
        "config": {
            "durable_name": durable,
            "name": durable,
            "filter_subject": pattern,
            "ack_policy": "explicit",
            "deliver_policy": "all",
            "max_ack_pending": 1,  # strict order: the next is delivered when this one is acknowledged
            "ack_wait": 30_000_000_000,
        },
    }
    answer = await bus.request(
        f"{API}CONSUMER.CREATE.{name}.{durable}.{pattern}", msgspec.json.encode(wanted), timeout_s=_TIMEOUT_S
    )
    said = msgspec.json.decode(answer.data, type=InfoAnswer)
    if said.error is not None:
        raise BusUnavailable(f"consumer {durable} on {name} made, was: {said.error.description}")


async def assert_sync_always(monitoring_url: str) -> None:
    """Refuse a server that acknowledges before the disk has the message (facts 1 and 12).

    Raises:
        ConfigError: It does not say ``sync_always``.
        BusUnavailable: Its monitoring port does not answer.
    """
    says = await asyncio.to_thread(_fetch_jetstream, monitoring_url)
    if says.get("config", {}).get("sync_always") is not True:
        raise ConfigError(
            f"NATS server at {monitoring_url}: expected jetstream sync_interval always,"
            f" was {says.get('config', {}).get('sync_interval', 'JetStream off')!r}; refusing to trade"
        )


def _fetch_jetstream(monitoring_url: str) -> dict[str, Any]:
    if urlsplit(monitoring_url).scheme not in ("http", "https"):
        raise ConfigError(f"common.nats_monitoring_url: expected http(s)://host:port, was {monitoring_url!r}")
    try:
        with urllib.request.urlopen(  # noqa: S310 - the scheme is checked above
            f"{monitoring_url.rstrip('/')}/jsz", timeout=_MONITORING_TIMEOUT_S
        ) as answer:
            says = json.load(answer)
    except (OSError, urllib.error.URLError, ValueError) as e:
        raise BusUnavailable(f"the NATS monitoring port {monitoring_url}, was: {e}") from None
    return says if isinstance(says, dict) else {}
