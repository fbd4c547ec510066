"""Read the venue's error bodies, whichever of their five shapes arrives (kalshi-api 20.1, 28).

1. ``{"error": {"code", "message", "details"?}}``, the most common on the wire
2. ``{"code", "message", "details"?}``, the only one in the contract file
3. ``{"msg": "Parameter validation failed ..."}``
4. ``{"error": "too many requests"}``
5. HTML or nothing, from the edge: no error of the venue at all
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

_TEXT_LENGTH_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What the venue said, with the code in lower case as codes are compared."""

    code: str
    message: str


def read_error(body: bytes) -> ErrorBody | None:
    """Return the venue's error, None if the body is none of the venue's shapes."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    inner = content.get("error")
    if isinstance(inner, str) and inner:
        return ErrorBody(_code(inner), _cut(inner))
    error = error_of(inner if isinstance(inner, dict) else content)
    text = content.get("msg")
    if error is None and isinstance(text, str) and text:
        return ErrorBody("invalid_parameters", _cut(text))
    return error


def error_of(fields: Any) -> ErrorBody | None:
    """Return the error in an object with code, message and details; None if it says nothing."""
    if not isinstance(fields, dict):
        return None
    code, message, details = fields.get("code"), fields.get("message"), fields.get("details")
    texts = [text for text in (message, details) if isinstance(text, str) and text]
    if not isinstance(code, str) or not code:
        # An error object whose code went missing is still an error if it says something.
        if not texts:
            return None
        code = texts[0]
    return ErrorBody(_code(code), _cut(": ".join(texts)))


def _code(text: str) -> str:
    return _cut(text.strip().lower().replace(" ", "_"))


def _cut(text: str) -> str:
    return text[:_TEXT_LENGTH_MAX]
