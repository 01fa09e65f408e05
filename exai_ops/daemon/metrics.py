"""What the daemon counts for Prometheus. Each daemon has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from exai_ops.providers.types import Completion

OTHER = "other"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counters and histograms of calls and completions; gauges are read when they are scraped.

    ``models`` are those with a label of their own. Clients may name any model of a known family, and each
    label is kept for good, so the others share one.
    """

    def __init__(self, models: Iterable[str]) -> None:
        self._models = frozenset(models)
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "exai_calls", "Ended calls by tool and outcome.", ["tool", "code"], registry=self.registry
        )
        self._duration = self._histogram("exai_call_duration_seconds", "From arrival to result.", ["tool"])
        self._waited = self._histogram("exai_permit_wait_seconds", "Wait for a permit.", [])
        self._provider = self._histogram(
            "exai_provider_duration_seconds", "One completion, retries included.", ["provider", "model"]
        )
        self._first = self._histogram(
            "exai_provider_first_token_seconds", "Until the first piece of the answer.", ["provider", "model"]
        )
        self._tokens = Counter(
            "exai_provider_tokens",
            "Tokens as the provider counted.",
            ["provider", "kind"],
            registry=self.registry,
        )
        self.refused = Counter(
            "exai_connections_refused",
            "Connections not let in, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.leaks = Counter("exai_permit_leaks", "Leaked permits named.", ["reason"], registry=self.registry)
        self._bound: dict[tuple[str, ...], Any] = {}

    def _histogram(self, name: str, text: str, labels: list[str]) -> Histogram:
        return Histogram(name, text, labels, buckets=_SECONDS, registry=self.registry)

    def _child(self, metric: Counter | Histogram, *labels: str) -> Any:
        """A labelled child; looking it up here is cheaper than in the library."""
        key = (metric._name, *labels)  # noqa: SLF001  # the only name a metric has
        child = self._bound.get(key)
        if child is None:
            child = self._bound[key] = metric.labels(*labels)
        return child

    def ended(self, tool: str, code: str, duration_s: float, waited_s: float | None) -> None:
        """A call has ended; ``code`` is ``ok`` or an error code."""
        self._child(self._calls, tool, code).inc()
        self._child(self._duration, tool).observe(duration_s)
        if waited_s is not None:
            self._waited.observe(waited_s)

    def completed(self, done: Completion) -> None:
        """A provider has answered."""
        model = done.model if done.model in self._models else OTHER
        self._child(self._provider, done.provider, model).observe(done.duration_s)
        self._child(self._first, done.provider, model).observe(done.first_token_s)
        self._child(self._tokens, done.provider, "prompt").inc(done.usage.prompt_tokens)
        self._child(self._tokens, done.provider, "completion").inc(done.usage.completion_tokens)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge that ``read`` answers at each scrape."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def gauges(self, name: str, text: str, labels: list[str], read: Callable[[], Iterable[Any]]) -> None:
        """Gauges with labels: ``read`` yields (label values, number) at each scrape."""
        self.registry.register(_Rows(name, text, labels, read))

    def exposition(self) -> bytes:
        """All of it in the text format of Prometheus."""
        return generate_latest(self.registry)


class _Rows:
    """A collector over rows that are read at each scrape."""

    def __init__(self, name: str, text: str, labels: list[str], read: Callable[[], Iterable[Any]]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._read = read

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._read():
            family.add_metric(list(labels), value)
        yield family
