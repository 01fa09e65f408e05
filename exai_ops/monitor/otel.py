"""Calls as OpenTelemetry spans, by the conventions for generative AI, sent by OTLP over HTTP.

They are made after the fact out of events, in a thread of their own: whoever records pays one wake a second.
Events hold no prompt and no answer, so neither do the spans. A call is exported once its result is known:

- ``execute_tool NAME``, the call, with what it waited for as spans beneath it;
- ``chat MODEL``, each request to a provider, of kind client.

Nothing is queued but the monitor's ring: what falls from it while the other side is slow is counted and lost.
The extra ``otel`` is imported when an ``OtelExport`` is made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from exai_ops.errors import UsageError
from exai_ops.monitor import trace
from exai_ops.monitor.events import Event
from exai_ops.monitor.recorder import Monitor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

Attributes: TypeAlias = Mapping[str, str | bool | int | float]

PENDING_MAX: Final = 2_000
"""Calls without a result whose events are held; beyond it the oldest is dropped."""

EVENTS_MAX: Final = 500
"""Events of one call that are held; its result comes on top of them."""

_BATCH: Final = 512
_log = logging.getLogger(__name__)


class Pending:
    """The events of calls that have no result yet."""

    def __init__(self) -> None:
        self.dropped = 0
        self._calls: dict[trace.CallKey, list[Event]] = {}

    def add(self, event: Event) -> list[Event] | None:
        """Keep an event; all events of its call when it is the result."""
        key = trace.call_of(event)
        if key is None:
            return None
        if trace.is_result(event):
            return [*self._calls.pop(key, ()), event]
        if key not in self._calls and len(self._calls) >= PENDING_MAX:
            self.dropped += 1
            del self._calls[next(iter(self._calls))]
        of_call = self._calls.setdefault(key, [])
        if len(of_call) < EVENTS_MAX:
            of_call.append(event)
        return None


class OtelExport:
    """Exports the calls that a monitor sees, from ``start`` to ``stop``.

    Args:
        endpoint: Base URL of a collector; ``/v1/traces`` is appended. Headers, certificates and the like are
            what the variables OTEL_EXPORTER_OTLP_* say.

    Attributes:
        exported: Spans that the collector took.
        failed: Spans that it did not take.
        missed: Events that were gone before they were read, and calls dropped for want of a result.

    Raises UsageError when the extra is not installed.
    """

    def __init__(
        self,
        monitor: Monitor,
        endpoint: str,
        *,
        version: str = "",
        interval_s: float = 1.0,
        timeout_s: float = 5.0,
    ) -> None:
        self.exported = self.failed = 0
        self._monitor = monitor
        self._interval_s = interval_s
        self._sink = _Sink(endpoint.rstrip("/") + "/v1/traces", version, timeout_s)
        self._pending = Pending()
        self._missed = 0
        self._taken = True
        self._sequence = monitor.sequence
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exai-otel", daemon=True)

    @property
    def missed(self) -> int:
        return self._missed + self._pending.dropped

    def start(self) -> None:
        """Export from now on."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Export what is there and end; False when that took longer and the rest is given up."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._wait()
                self._stopping.wait(self._interval_s)  # what comes meanwhile goes out together
                self._export()
            self._export()  # what came while the last was under way
        except Exception:  # noqa: BLE001 the thread's boundary: exporting ends, the program does not
            _log.exception("spans are no longer exported")

    def _wait(self) -> None:
        """Until there are new events; costs nothing meanwhile."""
        self._woken.clear()
        self._monitor.on_next(self._woken.set)
        try:
            if self._monitor.sequence <= self._sequence and not self._stopping.is_set():
                self._woken.wait()
        finally:
            self._monitor.forget(self._woken.set)

    def _export(self) -> None:
        batch = self._monitor.since(self._sequence)
        self._sequence = batch.sequence
        self._missed += batch.missed
        for event in batch.events:
            events = self._pending.add(event)
            if events is not None:
                self._sink.tell(events)
        for spans in self._sink.batches():
            taken = self._sink.send(spans)
            if taken != self._taken:
                self._taken = taken
                _log.warning("spans are %s", "taken again" if taken else "not taken: no answer, or a refusal")
            if taken:
                self.exported += len(spans)
            else:
                self.failed += len(spans)


class _Sink:
    """The SDK, with an exporter that is called by us alone."""

    def __init__(self, url: str, version: str, timeout_s: float) -> None:
        try:
            from opentelemetry import context
            from opentelemetry import trace as api
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk import trace as sdk
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace.export import SpanExportResult
        except ImportError as error:
            raise UsageError(
                "EXAI_OTEL_ENDPOINT is set, and the extra otel is not installed",
                hint="install exai-ops[otel], or leave the variable empty",
            ) from error

        ended: list[ReadableSpan] = []

        class Collect(sdk.SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                ended.append(span)

        self._api, self._nowhere, self._ended = api, context.Context(), ended
        self._done = SpanExportResult.SUCCESS
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)  # a line for each retry
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=timeout_s)
        resource = Resource.create({"service.name": "exai", "service.version": version})
        provider = sdk.TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(Collect())
        self._tracer = provider.get_tracer("exai_ops.monitor", version)

    def tell(self, events: list[Event]) -> None:
        """Make the spans of a call."""
        found = trace.spans(events)
        parents: list[Any] = []
        for span in found:
            context = (
                self._nowhere if span.depth == 0 else self._api.set_span_in_context(parents[span.depth - 1])
            )
            client = trace.provider_of(span) is not None
            made = self._tracer.start_span(
                _name(span),
                context=context,
                kind=self._api.SpanKind.CLIENT if client else self._api.SpanKind.INTERNAL,
                attributes=dict(attributes(span, events)),
                start_time=_ns(span.started_at),
            )
            parents[span.depth :] = [made]
            if span.error is not None:
                made.set_status(self._api.StatusCode.ERROR)
            made.end(end_time=max(_ns(span.started_at), _ns(span.ended_at)))

    def batches(self) -> Iterable[list[ReadableSpan]]:
        """What was told, in parts that one request carries."""
        while self._ended:
            spans = self._ended[:_BATCH]
            del self._ended[:_BATCH]
            yield spans

    def send(self, spans: list[ReadableSpan]) -> bool:
        """Whether the collector took them; at most for the timeout."""
        return bool(self._exporter.export(spans) is self._done)


def attributes(span: trace.Span, events: Iterable[Event]) -> Attributes:
    """What the conventions say of a span, as far as it is known."""
    if span.depth == 0:
        return _of_call(span, events)
    provider = trace.provider_of(span)
    if provider is None:
        return {}
    detail = span.detail
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.system": provider,
        "gen_ai.request.model": detail.get("model"),
        "gen_ai.request.stream": True if "first_token_ms" in detail else None,
        "gen_ai.usage.input_tokens": detail.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": detail.get("completion_tokens"),
        "http.response.status_code": detail.get("status"),
        "error.type": _error_type(span),
    }
    if "first_token_ms" in detail:
        told["gen_ai.response.time_to_first_chunk"] = detail["first_token_ms"] / 1000
    return _plain(told)


def _of_call(span: trace.Span, events: Iterable[Event]) -> Attributes:
    metadata: dict[str, Any] = {}
    for event in events:
        metadata |= event.metadata or {}
    return _plain(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": span.name,
            "gen_ai.tool.call.id": metadata.get("request"),
            "session.id": metadata.get("session"),
            "exai.queue_wait_ms": metadata.get("queue_wait_ms"),
            "exai.permit_wait_ms": metadata.get("permit_wait_ms"),
            "error.type": _error_type(span),
        }
    )


def _plain(told: Mapping[str, Any]) -> Attributes:
    return {name: value for name, value in told.items() if isinstance(value, str | bool | int | float)}


def _error_type(span: trace.Span) -> str | None:
    """Of few distinct values: a status, a code or a type; a provider's words are none."""
    if span.error is None:
        return None
    status = span.detail.get("status")
    if isinstance(status, int) and status != 200:
        return str(status)
    if span.error == "deadline":
        return "timeout"
    return span.error if span.error.isidentifier() else "_OTHER"


def _name(span: trace.Span) -> str:
    if span.depth == 0:
        return f"execute_tool {span.name}"
    if trace.provider_of(span) is None:
        return span.name
    return f"chat {span.detail.get('model', '')}".rstrip()


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
