"""Free ports for servers that must find the same port again after a restart.

Port 0 would do for one life. A restarted server needs its old number, and a
number from the kernel's ephemeral range can be taken meanwhile by any outgoing
connection, in the worst case by a client that reconnects to the dead server and
so to itself. Hence numbers below that range, tried by binding.
"""

from __future__ import annotations

import random
import socket
from typing import Final

_RANGE: Final = range(20_000, 32_000)
_TRIES: Final = 2_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether the port can be bound now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return so many different free ports.

    Raises:
        RuntimeError: The machine has none left in the range.
    """
    chooser = random.SystemRandom()
    found: list[int] = []
    for _ in range(_TRIES):
        port = chooser.choice(_RANGE)
        if port not in found and is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"{count} free ports between {_RANGE.start} and {_RANGE.stop}, found {len(found)}")
