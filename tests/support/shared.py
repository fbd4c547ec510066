"""The reference material that lies beside the checkout and never inside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_dir() -> Path:
    """Return where recordings and contract files lie: ``DORA_SHARED_DIR``, else beside the checkout."""
    given = os.environ.get("DORA_SHARED_DIR")
    return Path(given) if given else Path(__file__).resolve().parents[3] / "shared"


def spec_dir() -> Path:
    """Return where the venue's contract files lie: ``KALSHI_SPEC_DIR``, else in the shared directory."""
    given = os.environ.get("KALSHI_SPEC_DIR")
    return Path(given) if given else shared_dir() / "kalshi"


requires_shared = pytest.mark.skipif(
    not (shared_dir() / "data").is_dir(), reason="no recordings: set DORA_SHARED_DIR"
)
requires_spec = pytest.mark.skipif(
    not (spec_dir() / "openapi.yaml").is_file(), reason="no contract files: set KALSHI_SPEC_DIR"
)
