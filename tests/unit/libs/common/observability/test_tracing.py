"""Spans are off unless asked for; the trace context goes on either way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.common.observability.tracing import set_up_tracing, shut_down_tracing, span
from libs.common.runtime.context import bound, bound_fields, travelling_headers

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    assert set_up_tracing("executor", {}, exporter)
    yield exporter
    shut_down_tracing()


def test_without_an_endpoint_nothing_is_made_and_the_context_goes_on() -> None:
    assert not set_up_tracing("executor", {})
    with bound(traceparent=PARENT), span("send"):
        assert travelling_headers() == {"traceparent": PARENT}


def test_without_an_endpoint_the_sdk_is_not_imported() -> None:
    code = (
        "import sys; from libs.common.observability.tracing import set_up_tracing, span\n"
        "set_up_tracing('x', {})\nwith span('a'): pass\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_span_continues_the_received_trace_and_is_the_parent_of_what_it_sends(
    exporter: InMemorySpanExporter,
) -> None:
    with bound(traceparent=PARENT), span("plan", market="A"), span("send"):
        sent = bound_fields()["traceparent"]
    inner, outer = exporter.get_finished_spans()
    assert (inner.name, outer.name) == ("send", "plan")
    assert outer.parent is not None
    assert f"{outer.parent.span_id:016x}" == "b7ad6b7169203331"
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert inner.context is not None
    assert sent == f"00-0af7651916cd43dd8448eb211c80319c-{inner.context.span_id:016x}-01"
