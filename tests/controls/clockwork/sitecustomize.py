"""A wall clock that can be set, for one process: Python imports this before anything else.

The process runs with this folder first on its path and the file of the offset in
``STEPPED_CLOCK_FILE``: eight bytes, nanoseconds, little-endian. Everything in it is
the real service; only what the machine says of the time is moved, as a bad time
service would move it. The monotonic clock goes on.
"""

import mmap
import os
import struct
import time

_PATH = os.environ.get("STEPPED_CLOCK_FILE")
if _PATH:
    with open(_PATH, "r+b") as _file:  # noqa: PTH123 - pathlib is not needed to start a process
        _OFFSET = mmap.mmap(_file.fileno(), 8)
    _time, _time_ns = time.time, time.time_ns

    def _offset_ns() -> int:
        (offset_ns,) = struct.unpack_from("<q", _OFFSET)
        return int(offset_ns)

    time.time_ns = lambda: _time_ns() + _offset_ns()
    time.time = lambda: _time() + _offset_ns() / 1e9
