"""Ctrl-C and SIGTERM as an event, heard by `dora` alone.

On a terminal the shell's signal goes to the whole foreground group, `make`
included, which would then report an interrupt whatever we return. So `dora`
takes the terminal for its own group while it runs and hands it back after.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def stop_event() -> Iterator[asyncio.Event]:
    """Yield an event that SIGINT, SIGTERM and SIGHUP set; inside a running loop."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def own_foreground() -> Iterator[None]:
    """Be the terminal's foreground group, if this process belongs to it now; hand it back at the end."""
    try:
        terminal = sys.stdin.fileno()
        before = os.tcgetpgrp(terminal)
    except (OSError, ValueError):
        yield  # no terminal
        return
    if before != os.getpgrp() or os.getpid() == before:
        yield  # in the background, or the group is our own already
        return
    # A background process that moves the terminal gets SIGTTOU, which would stop it.
    ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.setpgid(0, 0)
        os.tcsetpgrp(terminal, os.getpgrp())
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, before)
        signal.signal(signal.SIGTTOU, ignored)
