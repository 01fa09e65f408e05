from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exai_ops.monitor.recorder import Monitor
from exai_ops.settings import Secret


def filled(**more: Any) -> Monitor:
    monitor = Monitor(clock=lambda: 1767225599.25)
    monitor.record(
        "kimi",
        "send",
        script_name="client.py",
        function_name="chat",
        data_size_bytes=12,
        response_time_ms=3.5,
    )
    monitor.record("kimi", "error", script_name="client.py", function_name="chat", **more)
    return monitor


def test_the_document() -> None:
    found = json.loads(filled(error="HTTP 500", metadata={"request_id": "r1", "n": [1, None]}).export())
    assert found == {
        "summary": {
            "kimi": {
                "total_events": 2,
                "total_sent_bytes": 12,
                "total_received_bytes": 0,
                "total_errors": 1,
                "avg_response_time_ms": 3.5,
                "last_event_timestamp": 1767225599.25,
                "active_connections": 0,
            }
        },
        "recent_events": [
            {
                "timestamp": 1767225599.25,
                "datetime": "2025-12-31T23:59:59.250+00:00",
                "connection_type": "kimi",
                "direction": "send",
                "script": "client.py",
                "function": "chat",
                "data_size_bytes": 12,
                "response_time_ms": 3.5,
                "error": None,
                "metadata": {},
            },
            {
                "timestamp": 1767225599.25,
                "datetime": "2025-12-31T23:59:59.250+00:00",
                "connection_type": "kimi",
                "direction": "error",
                "script": "client.py",
                "function": "chat",
                "data_size_bytes": 0,
                "response_time_ms": None,
                "error": "HTTP 500",
                "metadata": {"request_id": "r1", "n": [1, None]},
            },
        ],
    }


def test_the_fast_way_and_the_plain_one_agree() -> None:
    monitor = filled(metadata={"a": 1})
    plain = [event.exported() for event in monitor.recent()]
    assert json.loads(monitor.export())["recent_events"] == plain


def test_an_empty_monitor() -> None:
    assert json.loads(Monitor().export()) == {"summary": {}, "recent_events": []}


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def endless() -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    metadata["self"] = metadata
    return metadata


METADATA: list[tuple[str, Any, Any]] = [
    ("another type is shown as text", {"path": Path("a/b")}, {"path": "a/b"}),
    ("a secret is not shown", {"key": Secret("s3cret")}, {"key": "Secret('***')"}),
    ("a number that JSON has no word for", {"n": float("nan")}, {"n": None}),
    ("text that is no text", {"t": "\ud800"}, {"unencodable": "UnicodeEncodeError"}),
    ("no words", {"t": Unspeakable()}, {"unencodable": "RuntimeError"}),
    ("no end", endless(), {"unencodable": "RecursionError"}),
    ("a key that is no name", {("a", "b"): 1}, {"('a', 'b')": 1}),
]


@pytest.mark.parametrize(
    ("metadata", "shown"), [row[1:] for row in METADATA], ids=[row[0] for row in METADATA]
)
def test_strange_metadata_spoils_no_export(metadata: Any, shown: Any) -> None:
    first, second = json.loads(filled(metadata=metadata).export())["recent_events"]
    assert first["function"] == second["function"] == "chat"
    assert second["metadata"] == shown


def test_names_that_are_no_text_spoil_no_export() -> None:
    monitor = Monitor()
    monitor.record("\ud800", "send", script_name="\ud800", function_name="f", error="\ud800")
    found = json.loads(monitor.export())
    assert found["recent_events"][0]["error"] == "?"
    assert found["summary"]["?"]["total_errors"] == 1


def test_the_datetime_has_an_offset() -> None:
    for event in json.loads(filled().export())["recent_events"]:
        assert datetime.fromisoformat(event["datetime"]).utcoffset() == timedelta(0)
        assert datetime.fromisoformat(event["datetime"]).timestamp() == event["timestamp"]


def test_a_file_holds_the_document_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "events.json"
    target.write_text("old")
    filled().export_to(target)
    assert target.read_bytes() == filled().export()
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "events.json"
    target.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        filled().export_to(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        filled().export_to(tmp_path / "nowhere" / "events.json")
