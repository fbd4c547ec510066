"""Check that the requirements files can be installed anywhere and say nothing about where from.

Each pin carries hashes, no line holds an address or an option of an index, and
the set is whole for every platform and Python that we support: pip in hash mode
refuses a dependency that the file does not name, and a dependency with a marker
(``async-timeout`` before Python 3.11.3) is invisible on the machine that compiled it.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement

FILES = ("runtime", "dev")
PYTHONS = ("3.11.0", "3.11.2", "3.11.9", "3.12.4", "3.13.1", "3.14.0")
PLATFORMS = (("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64"))
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")
_OPTION = re.compile(r"^\s*--(?!hash=)")


def canonical(name: str) -> str:
    """Return the name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Return the pinned version of each distribution of a compiled file."""
    return {canonical(m[1]): m[2] for line in text.splitlines() if (m := _PIN.match(line))}


def check_text(name: str, text: str) -> list[str]:
    """Return what is wrong with the text of a compiled file."""
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"requirements/{name}:{number}"
        if "://" in line:
            problems.append(f"{where}: holds an address: {line.strip()}")
        if _OPTION.match(line) or line.startswith("-"):
            problems.append(f"{where}: holds an option: {line.strip()}")
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    problems += [
        f"requirements/{name}: {match[1]} has no hash"
        for block in blocks
        if (match := _PIN.match(block)) and "--hash=sha256:" not in block
    ]
    if not pins(text):
        problems.append(f"requirements/{name}: expected pins, found none")
    return problems


def environments() -> Iterable[Mapping[str, str]]:
    """Yield the marker environments that an install must work in."""
    for python in PYTHONS:
        for sys_platform, system, machine in PLATFORMS:
            yield {
                "python_version": python.rpartition(".")[0],
                "python_full_version": python,
                "implementation_version": python,
                "sys_platform": sys_platform,
                "platform_system": system,
                "platform_machine": machine,
                "os_name": "posix",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "extra": "",
            }


def missing(pinned: Mapping[str, str]) -> list[str]:
    """Return the dependencies that some supported platform needs and the file does not name."""
    problems = []
    installed = {canonical(d.metadata["Name"]): d for d in importlib.metadata.distributions()}
    for name in sorted(pinned):
        if (dist := installed.get(name)) is None:
            continue
        for line in dist.requires or ():
            need = Requirement(line)
            if canonical(need.name) in pinned or need.marker is None:
                continue
            where = [env for env in environments() if need.marker.evaluate(dict(env))]
            if where:
                first = where[0]
                problems.append(
                    f"{name} needs {line} (Python {first['python_full_version']}, {first['sys_platform']})"
                )
    return problems


def main() -> int:
    """Check every file; return 1 if anything is wrong."""
    problems: list[str] = []
    found: dict[str, dict[str, str]] = {}
    for name in FILES:
        text = Path("requirements", f"{name}.txt").read_text(encoding="utf-8")
        problems += check_text(f"{name}.txt", text)
        found[name] = pins(text)
        problems += [f"requirements/{name}.txt: {line}" for line in missing(found[name])]
    problems += [
        f"requirements: {name} is {version} for running and {found['dev'].get(name)} for testing"
        for name, version in found["runtime"].items()
        if found["dev"].get(name) != version
    ]
    for problem in problems:
        print(problem)
    if not problems:
        print(f"requirements: {len(found['runtime'])} + {len(found['dev'])} pins, hashed, URL-free, whole")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
