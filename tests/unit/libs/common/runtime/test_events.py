"""Every event type that the source logs is in the registry."""

from __future__ import annotations

import ast
from pathlib import Path

from libs.common.runtime.events import EVENTS

ROOT = Path(__file__).resolve().parents[5]
REQUIRED = (
    "STARTUP SHUTDOWN HEARTBEAT DECISION_MADE ORDER_PLACE ORDER_CANCEL ORDER_RESULT FILL RISK_HALT ERROR"
)


def test_the_required_types_are_there() -> None:
    assert set(REQUIRED.split()) <= set(EVENTS)


def test_every_logged_type_is_registered() -> None:
    unknown = []
    for path in (*ROOT.glob("libs/**/*.py"), *ROOT.glob("services/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            word = logged_type(node)
            if word is not None and word not in EVENTS:
                unknown.append(f"{path.relative_to(ROOT)} {word}")
    assert unknown == []


def logged_type(node: ast.AST) -> str | None:
    """Return the event type that a call of a log's ``event`` or ``once`` names."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    place = {"event": 0, "once": 1}.get(node.func.attr)
    if place is None or len(node.args) <= place or "log" not in ast.unparse(node.func.value):
        return None
    word = node.args[place]
    return word.value if isinstance(word, ast.Constant) and isinstance(word.value, str) else None
