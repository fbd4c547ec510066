"""The endpoints that every service has: ``status``, ``config``, ``log_level``.

All answer JSON. They reach one instance of a service, so they serve questions
and idempotent requests only; a halt never travels this way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from libs.common.bus.api import Bus, Handler, Message
from libs.common.messages.base import encode
from libs.common.messages.health import StatusV1
from libs.common.runtime.log import EventLog


class _LevelAsk(msgspec.Struct, frozen=True):
    level: str


def shared_endpoints(
    bus: Bus, log: EventLog, status: Callable[[], StatusV1], config: Mapping[str, Any]
) -> dict[str, Handler]:
    """Return the three handlers."""

    async def answer_status(message: Message) -> None:
        await bus.respond(message, encode(status()))

    async def answer_config(message: Message) -> None:
        await bus.respond(message, msgspec.json.encode(config, order="sorted"))

    async def answer_log_level(message: Message) -> None:
        """Set the level that is asked for, as JSON or as a bare word; an empty request only asks."""
        wanted = message.data.strip()
        answer: dict[str, str] = {}
        if wanted:
            try:
                level = (
                    msgspec.json.decode(wanted, type=_LevelAsk).level
                    if wanted.startswith(b"{")
                    else wanted.decode("ascii")
                )
                log.set_level(level.upper())
            except (ValueError, msgspec.DecodeError) as e:
                answer["error"] = f"a level such as DEBUG or INFO, was {wanted[:40]!r} ({e})"
            else:
                log.event("LOG_LEVEL", level="WARNING", to=log.level)
        answer["level"] = log.level
        await bus.respond(message, msgspec.json.encode(answer))

    return {"status": answer_status, "config": answer_config, "log_level": answer_log_level}
