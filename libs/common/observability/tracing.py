"""Spans, off unless an endpoint is configured; the trace context travels in headers either way.

``OTEL_EXPORTER_OTLP_ENDPOINT`` switches them on. Without it nothing of the SDK is
imported and :func:`span` costs one comparison, but a ``traceparent`` that came
with a message still leaves with what it caused (`runtime/context.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from libs.common.runtime.context import bound, bound_fields

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_FIELD: Final = "traceparent"


class _State:
    """Whether spans are made."""

    tracer: Tracer | None = None
    shut_down: Callable[[], None] | None = None


def set_up_tracing(service: str, environ: Mapping[str, str], exporter: Any = None) -> bool:
    """Switch spans on if an endpoint is configured or a test hands in an exporter; say whether they are."""
    if not environ.get(ENDPOINT) and exporter is None:
        return False
    # Imported here only: a process without an endpoint must not pay the SDK's memory and start-up time.
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"dora-{service}"}))
    if exporter is None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    else:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    _State.tracer = provider.get_tracer("dora")
    _State.shut_down = provider.shutdown
    return True


def shut_down_tracing() -> None:
    """Send what is left and switch spans off."""
    if _State.shut_down is not None:
        _State.shut_down()
    _State.tracer = None
    _State.shut_down = None


@contextmanager
def span(name: str, **attributes: str | float | bool) -> Iterator[None]:
    """Measure the block as a span that is a child of the bound trace context, and bind its own inside."""
    tracer = _State.tracer
    if tracer is None:
        yield
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    carrier = {_FIELD: bound_fields().get(_FIELD, "")}
    parent = propagator.extract(carrier) if carrier[_FIELD] else None
    with tracer.start_as_current_span(name, context=parent, attributes=attributes):
        sent: dict[str, str] = {}
        propagator.inject(sent)
        with bound(traceparent=sent.get(_FIELD, "")):
            yield
