"""Answers made wrong on purpose: the request was done, and the caller hears something else."""

from __future__ import annotations

from typing import Any

import msgspec

from services.simexchange.core.faults import FaultKind, FaultRule
from services.simexchange.shell.reply import Reply, ok


def tampered(rule: FaultRule, reply: Reply) -> Reply:
    """Return the reply as the fault distorts it."""
    match rule.kind:
        case FaultKind.ERROR_AFTER:
            return ok({"code": "service_unavailable", "message": "service unavailable"}, rule.status)
        case FaultKind.GARBLED:
            return Reply(reply.status, reply.body[: len(reply.body) // 2])
        case FaultKind.FOREIGN_ECHO:
            return _with_foreign_echo(reply)
        case FaultKind.MISSING_ITEM:
            return _without_last_item(reply)
        case _:
            return reply


def _with_foreign_echo(reply: Reply) -> Reply:
    body = _object(reply)
    items = body["orders"] if isinstance(body.get("orders"), list) else [body]
    for item in items:
        if "client_order_id" in item:
            item["client_order_id"] = f"foreign-{item['client_order_id']}"[:64]
    return ok(body, reply.status)


def _without_last_item(reply: Reply) -> Reply:
    body = _object(reply)
    if isinstance(body.get("orders"), list):
        body["orders"] = body["orders"][:-1]
    return ok(body, reply.status)


def _object(reply: Reply) -> dict[str, Any]:
    body = msgspec.json.decode(reply.body or b"{}")
    assert isinstance(body, dict), f"JSON object, was {type(body).__name__}"
    return body
