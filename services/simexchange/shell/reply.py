"""Calls and replies between the HTTP door and the handlers, and the shapes of refusals.

Handlers are plain functions: a call in, a reply out. The error shapes are the
venue's four (kalshi-api 20.1): nested for exchange errors, flat for bodies that
do not decode, ``msg`` for query parameters, and a bare string for 429.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from services.simexchange.core.requests import Rejection

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and JSON body (empty for 204)."""

    status: int
    body: bytes = b""
    content_type: bytes = b"application/json"
    location: bytes = b""
    """Where a redirect leads."""


class ReplyError(Exception):
    """A refusal raised out of parsing; becomes its reply at the door."""

    def __init__(self, reply: Reply, kind: str) -> None:
        super().__init__(kind)
        self.reply = reply
        self.kind = kind


@dataclass(slots=True)
class Call:
    """One HTTP request after authentication.

    Attributes:
        account: Name, or empty for an anonymous call of a public endpoint.
        path_args: Values of the path template in order.
        query: Parameters; repeated ones are kept in order.
    """

    method: str
    path: str
    account: str
    now_ns: int
    path_args: tuple[str, ...] = ()
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: bytes = b""

    def get(self, name: str, default: str = "") -> str:
        """Return a query parameter, or the default."""
        values = self.query.get(name)
        return values[0] if values else default


def ok(value: object, status: int = 200) -> Reply:
    """Return a JSON reply."""
    return Reply(status, _encode(value))


TOO_MANY = Reply(429, b'{"error":"too many requests"}')
NO_CONTENT = Reply(204)
EMPTY = Reply(200, b"{}")
NO_SUCH_PATH = Reply(404, b"404 page not found", b"text/plain; charset=utf-8")


def refused(rejection: Rejection) -> Reply:
    """Return the nested shape."""
    return ok({"error": error_object(rejection)}, rejection.status)


def error_object(rejection: Rejection) -> dict[str, str]:
    """Return code, message and, where there are any, details."""
    body = {"code": rejection.code, "message": rejection.text}
    if rejection.details:
        body["details"] = rejection.details
    return body


def bad_request(details: str, code: str = "bad_request") -> ReplyError:
    """Return the flat shape, for bodies that do not decode."""
    body = {"code": code, "message": code.replace("_", " "), "details": details}
    return ReplyError(ok(body, 400), code)


def bad_parameter(operation: str, name: str, tag: str) -> ReplyError:
    """Return the shape of query validation, as the venue's framework words it."""
    key = "".join(part.capitalize() for part in name.split("_"))
    text = (
        f"Parameter validation failed for {operation}: Key: '{operation}Params.{key}' "
        f"Error:Field validation for '{key}' failed on the '{tag}' tag"
    )
    return ReplyError(ok({"msg": text}, 400), "bad_parameter")


def invalid_parameters(details: str) -> ReplyError:
    """Return the nested refusal of a value that has the right type and no meaning."""
    return ReplyError(refused(Rejection(400, "invalid_parameters", details=details)), "invalid_parameters")
