"""A Dora that lives in a folder of its own, driven the way a person drives it: by `bin/dora` and the bus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from libs.cli import operate, runfile
from libs.common.bus.api import BusError

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("marketdata", "strategy", "executor", "reconciler", "riskguard")
EVERYTHING = (*SERVICES, "simexchange", "nats", "valkey")


def environment(var: Path) -> dict[str, str]:
    """Return an environment in which `dora` keeps everything below one folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DORA_", "NATS_", "REDIS_"))}
    shared = {k: v for k, v in os.environ.items() if k == "DORA_SHARED_DIR"}
    # One build for all of them, whatever is committed while a killed service starts again.
    told = {"DORA_VAR": str(var), "PYTHONPATH": str(ROOT), "COLUMNS": "160", "BOT_VERSION": "system-test"}
    return kept | shared | told


def until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Return the condition's first true value; fail with its last when time is up."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        value: Any
        try:
            value = condition()
        except (AssertionError, OSError, ValueError, KeyError, BusError, runfile.NotRunning) as e:
            value = None
            last: Any = e
        else:
            last = value
            if value:
                return value
        assert time.monotonic() < deadline_s, f"{what} within {timeout_s} s; last: {last!r}"
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """Return whether a process lives; one that only waits to be noticed does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self").exists()


def dora(var: Path, *args: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        (sys.executable, "-m", "libs.cli", *args),
        env=environment(var),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@dataclass
class Living:
    """One `dora up` or `dora demo`, and questions to it."""

    var: Path
    process: subprocess.Popen[bytes]
    log: Path
    seen_pids: set[int] = field(default_factory=set)

    @property
    def run(self) -> dict[str, Any]:
        """Return the run file."""
        told: dict[str, Any] = json.loads((self.var / "run" / "sim.json").read_bytes())
        self.seen_pids.update(told["pids"].values())
        return told

    def pid(self, name: str) -> int:
        """Return a process id."""
        return int(self.run["pids"][name])

    def kill(self, *names: str) -> None:
        """Kill processes the hard way."""
        for pid in [self.pid(name) for name in names]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def ask(self, subject: str, payload: str = "") -> dict[str, Any]:
        """Ask an endpoint as the operator and return its answer."""
        run = runfile.read(self.var / "run" / "sim.json")

        async def asked() -> bytes:
            async with operate.operator_bus(run) as bus:
                return (await bus.request(subject, payload.encode(), timeout_s=5)).data

        answer: dict[str, Any] = json.loads(asyncio.run(asked()))
        return answer

    def publish(self, subject: str, *payloads: bytes) -> None:
        """Publish raw bytes on core NATS as the operator, with no library that could mend them."""
        import socket

        run = self.run
        password = Path(run["nats_password_file"]).read_text().strip()
        parts = urlsplit(run["nats_url"])
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as link:
            link.recv(4096)
            hello = {"user": run["nats_user"], "pass": password, "verbose": False, "pedantic": False}
            link.sendall(b"CONNECT " + json.dumps(hello).encode() + b"\r\n")
            for payload in payloads:
                link.sendall(f"PUB {subject} {len(payload)}\r\n".encode() + payload + b"\r\n")
            link.sendall(b"PING\r\n")
            answer = b""
            while b"PONG" not in answer:
                got = link.recv(4096)
                assert got, f"the server closed the connection: {answer!r}"
                answer += got
            assert b"-ERR" not in answer, answer

    def status(self, service: str) -> dict[str, Any]:
        """Return a service's status."""
        return self.ask(f"dora.sim.svc.{service}.status")

    def gate(self) -> str:
        """Return the executor's gate word."""
        return str(self.status("executor")["state"])

    def truth(self) -> dict[str, Any]:
        """Return what the simulated venue knows of our account."""
        parts = urlsplit(self.run["venue_rest_url"])
        url = f"{parts.scheme}://{parts.netloc}/sim/truth"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback, http
            told = json.load(answer)
        accounts: dict[str, Any] = told["accounts"]
        found: dict[str, Any] = accounts["main"]
        return found

    def resting(self) -> int:
        """Return how many of our orders rest at the venue, by its own word."""
        return len([order for order in self.truth()["orders"] if order.get("status", "resting") == "resting"])

    def until_running(self, timeout_s: float = 40) -> None:
        """Wait for an open gate."""
        until(lambda: self.gate() == "running", timeout_s, "an open gate")

    def until_quoting(self, timeout_s: float = 40) -> None:
        """Wait until orders of ours rest at the venue."""
        until(lambda: self.resting() > 0, timeout_s, "orders of ours at the venue")

    def until_halted_and_empty(self, timeout_s: float = 20) -> None:
        """Wait until the gate says halted and the venue itself says that nothing rests."""
        until(lambda: self.gate() == "halted" and self.resting() == 0, timeout_s, "halted, nothing resting")

    def resume(self) -> None:
        """Resume in two steps and wait for an open gate."""

        def attempt() -> bool:
            done = dora(self.var, "resume", "the test goes on", "--yes")
            assert done.returncode == 0, done.stdout + done.stderr
            return True

        until(attempt, 30, "a resume")
        self.until_running()

    def restart(self, *args: str) -> None:
        """Start `dora` again in the same folder after it ended."""
        assert self.process.poll() is not None, "it still runs"
        self.process = _spawn(self.var, self.log, args)

    def stop(self, timeout_s: float = 90) -> int:
        """End it in order and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout_s)
        until(lambda: not any(map(is_alive, self.seen_pids)), 20, "every process gone")
        return code

    def tail(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(errors="replace")[-3000:]


@contextlib.contextmanager
def living(var: Path, *args: str) -> Iterator[Living]:
    """Start `dora` with arguments and end it afterwards, come what may."""
    var.mkdir(parents=True, exist_ok=True)
    log = var / f"dora-{args[0]}.log"
    it = Living(var, _spawn(var, log, args), log)
    try:
        yield it
    finally:
        process = it.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _spawn(var: Path, log: Path, args: tuple[str, ...]) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            (sys.executable, "-m", "libs.cli", *args),
            env=environment(var),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
