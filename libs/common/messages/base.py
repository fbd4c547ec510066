"""The common form of every message: frozen, JSON, unknown fields ignored, missing ones refused.

A consumer tolerates fields it does not know (a newer producer), and refuses a
message that lacks one it needs; such a message is counted and changes nothing.
Numbers keep their unit in the name. Times of the venue are Unix milliseconds
(`venue_ms`), times of ours Unix nanoseconds (`_ns`); a `_mono_ns` is a
monotonic clock and compares only between processes of one host.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all V1 structs."""


W = TypeVar("W", bound=Wire)

_ENCODER = msgspec.json.Encoder(order="deterministic")


class MalformedMessage(ValueError):  # noqa: N818 - named for what was found
    """Bytes on the bus are not the message that their subject promises."""


def encode(message: Wire) -> bytes:
    """Return the message as JSON bytes; equal messages give equal bytes."""
    return _ENCODER.encode(message)


class WireDecoder(Generic[W]):
    """Decodes one message type; built once, used for every message."""

    def __init__(self, kind: type[W]) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._name = kind.__name__

    def decode(self, data: bytes) -> W:
        """Return the message.

        Raises:
            MalformedMessage: The bytes are not JSON of this type; the text names the field.
        """
        try:
            return self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise MalformedMessage(f"{self._name}, was {len(data)} bytes: {e}") from None
