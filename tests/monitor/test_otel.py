"""Spans as a real receiver of OTLP over HTTP gets them."""

from __future__ import annotations

import contextlib
import gzip
import queue
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from exai_ops.errors import UsageError
from exai_ops.monitor.events import Event
from exai_ops.monitor.otel import EVENTS_MAX, PENDING_MAX, OtelExport, Pending
from exai_ops.monitor.recorder import Monitor

SOON_S = 10.0


class Collector(ThreadingHTTPServer):
    """Takes exports and decodes them; ``status`` is what it answers."""

    daemon_threads = True
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: queue.Queue[ExportTraceServiceRequest] = queue.Queue()
        self.refused: queue.Queue[int] = queue.Queue()
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self, count: int) -> list[Span]:
        """So many spans, once they have come."""
        found: list[Span] = []
        while len(found) < count:
            request = self.got.get(timeout=SOON_S)
            found += [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.paths.append(self.path)
        if self.server.status == 200:
            self.server.got.put(ExportTraceServiceRequest.FromString(body))
        status = self.server.status
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if status != 200:
            self.server.refused.put(status)

    def log_message(self, *_args: Any) -> None:
        return


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(SOON_S)


@contextlib.contextmanager
def exporting(monitor: Monitor, url: str, **more: Any) -> Iterator[OtelExport]:
    export = OtelExport(monitor, url, **({"interval_s": 0.01, "timeout_s": 1.0} | more))
    export.start()
    try:
        yield export
    finally:
        assert export.stop(SOON_S)


def call(monitor: Monitor, request: str = "r1", *, error: str | None = None) -> None:
    """A call that was refused once and then answered."""
    ids = {"session": "s1", "request": request, "tool": "chat"}

    def put(type_: str, direction: str, function: str, ms: float | None = None, **more: Any) -> None:
        failure = more.pop("error", None)
        monitor.record(
            type_,
            direction,
            script_name="t",
            function_name=function,
            response_time_ms=ms,
            error=failure,
            metadata=ids | more,
        )

    put("websocket", "receive", "call_tool")
    put("kimi", "send", "stream", model="m1", attempt=1)
    said = {"status": 429, "retry_after_s": 0.1}
    put("kimi", "rate_limit", "stream", 1.0, model="m1", attempt=1, error="too many: hush", **said)
    put("kimi", "send", "stream", model="m1", attempt=2)
    tokens = {"prompt_tokens": 7, "completion_tokens": 9, "status": 200, "first_token_ms": 0.5}
    put("kimi", "receive", "stream", 2.0, model="m1", attempt=2, **tokens)
    direction = "send" if error is None else "error"
    put("websocket", direction, "chat", 20.0, error=error, queue_wait_ms=3.0, journal_ms=1.0, result_ms=1.0)


def told(span: Span) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes}


def test_a_call_becomes_spans_by_the_conventions(collector: Collector) -> None:
    monitor = Monitor()
    with exporting(monitor, collector.url + "/", version="1.2"):
        call(monitor)
        spans = collector.spans(8)
    assert collector.paths[0] == "/v1/traces"
    assert len({span.trace_id for span in spans}) == 1
    root = next(span for span in spans if not span.parent_span_id)
    assert (root.name, root.kind) == ("execute_tool chat", Span.SPAN_KIND_INTERNAL)
    assert told(root) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "chat",
        "gen_ai.tool.call.id": "r1",
        "session.id": "s1",
        "exai.queue_wait_ms": 3.0,
    }
    clients = [span for span in spans if span.kind == Span.SPAN_KIND_CLIENT]
    answered, refused = sorted(clients, key=lambda span: span.status.code)
    assert {refused.name, answered.name} == {"chat m1"}
    assert refused.parent_span_id == answered.parent_span_id == root.span_id
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "kimi",
        "gen_ai.system": "kimi",
        "gen_ai.request.model": "m1",
    }
    assert told(refused) == common | {"http.response.status_code": 429, "error.type": "429"}
    assert refused.status.code == Status.STATUS_CODE_ERROR
    assert told(answered) == common | {
        "http.response.status_code": 200,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.0005,
    }
    assert answered.end_time_unix_nano - answered.start_time_unix_nano == pytest.approx(2e6, abs=2000)
    assert {"queue", "journal", "result", "first token", "streaming"} <= {span.name for span in spans}
    assert "hush" not in str(spans)


def test_who_exports_is_told(collector: Collector) -> None:
    monitor = Monitor()
    with exporting(monitor, collector.url, version="1.2"):
        call(monitor)
        request = collector.got.get(timeout=SOON_S)
    resource = {one.key: one.value.string_value for one in request.resource_spans[0].resource.attributes}
    assert (resource["service.name"], resource["service.version"]) == ("exai", "1.2")


def test_a_call_that_failed_says_with_which_code(collector: Collector) -> None:
    monitor = Monitor()
    with exporting(monitor, collector.url):
        call(monitor, error="TIMEOUT")
        spans = collector.spans(8)
    root = next(span for span in spans if not span.parent_span_id)
    assert (told(root)["error.type"], root.status.code) == ("TIMEOUT", Status.STATUS_CODE_ERROR)


def test_stopping_exports_what_is_there(collector: Collector) -> None:
    monitor = Monitor()
    with exporting(monitor, collector.url, interval_s=60.0) as export:
        for n in range(100):
            call(monitor, f"r{n}")
    assert len({span.trace_id for span in collector.spans(800)}) == 100
    assert (export.exported, export.failed, export.missed) == (800, 0, 0)


def test_a_collector_that_refuses_is_counted(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    collector.status = 400
    monitor = Monitor()
    with exporting(monitor, collector.url) as export:
        call(monitor)
    assert (export.exported, export.failed) == (0, 8)
    assert caplog.messages == ["spans are not taken: no answer, or a refusal"]


def test_a_collector_that_comes_back_gets_the_next_ones(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 400
    monitor = Monitor()
    with exporting(monitor, collector.url):
        call(monitor, "lost")
        collector.refused.get(timeout=SOON_S)
        collector.status = 200
        call(monitor, "kept")
        assert len({span.trace_id for span in collector.spans(8)}) == 1
    assert caplog.messages[-1] == "spans are taken again"


def test_what_fell_from_the_ring_is_counted(collector: Collector) -> None:
    monitor = Monitor(capacity=10)
    with exporting(monitor, collector.url, interval_s=60.0) as export:
        for n in range(10):
            call(monitor, f"r{n}")
    assert export.missed == 50


def test_what_is_held_is_bounded() -> None:
    pending = Pending()

    def event(request: str) -> Event:
        return Event(1.0, "kimi", "send", "t", "f", metadata={"request": request})

    for n in range(PENDING_MAX + 5):
        assert pending.add(event(str(n))) is None
    assert pending.dropped == 5
    for _ in range(2 * EVENTS_MAX):
        pending.add(event("again"))
    result = Event(2.0, "websocket", "send", "t", "chat", 0, 5.0, None, {"request": "again"})
    assert len(pending.add(result) or ()) == EVENTS_MAX + 1
    assert pending.add(Event(1.0, "sqlite", "send", "t", "f")) is None


def test_without_the_extra_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    with pytest.raises(UsageError, match="extra otel is not installed") as caught:
        OtelExport(Monitor(), "http://127.0.0.1:1")
    assert "exai-ops[otel]" in (caught.value.hint or "")
