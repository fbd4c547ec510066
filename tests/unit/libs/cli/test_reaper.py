from __future__ import annotations

import subprocess
import sys

from libs.cli.reaper import listed, stop_all


def test_what_was_started_and_not_reported_ended_is_listed_with_its_stage() -> None:
    assert listed(["+ 0 11", "+ 7 12", "- 11", "+ 1 13", "nonsense", ""]) == {12: 7, 13: 1}


def test_a_process_deaf_to_the_polite_signal_is_killed() -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('up', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", deaf], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()

        stop_all({child.pid: 0}, grace_s=0.2)

    assert child.wait(5) == -9
