from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from services.simexchange.shell.ws import CLOSE_FRAME, HEARTBEAT_FRAME, frames


def parsed(data: bytes) -> list[Frame]:
    """Return the frames as the library's own parser reads them from a server."""
    reader = StreamReader()
    reader.feed_data(data)
    found: list[Frame] = []
    while reader.buffer:
        parser = Frame.parse(reader.read_exact, mask=False, max_size=None)
        try:
            while True:
                next(parser)
        except StopIteration as done:
            found.append(done.value)
    return found


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_each_payload_is_one_whole_text_frame(size: int) -> None:
    payloads = [b"x" * size, b"y" * 3]
    found = parsed(frames(payloads))
    assert [(f.opcode, f.data, f.fin) for f in found] == [(Opcode.TEXT, p, True) for p in payloads]


def test_control_frames_are_what_the_venue_sends() -> None:
    ping, close = parsed(HEARTBEAT_FRAME + CLOSE_FRAME)
    assert (ping.opcode, ping.data) == (Opcode.PING, b"heartbeat")
    assert (close.opcode, close.data) == (Opcode.CLOSE, (1008).to_bytes(2, "big"))
