"""The benchmark's table and judgement: what was not measured is never shown as a figure, nor as kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import call_rows
from benchmarks.calls import Outcome, Seen
from benchmarks.processes import NotMeasured, environment, running
from benchmarks.table import Limit, Ratio, Row, document, markdown, number, ratio


def _row(figures: tuple[float, ...], *ratios: Ratio, goal: str = "at most 5") -> Row:
    return Row(group="g", what="w", goal=goal, figures=figures, limit=Limit(number=5), ratios=ratios)


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (_row((1, 5, 9)), True),
        (_row((1, 6, 9)), False),
        (_row((1,), Ratio(of="it", figures=(0.5,), limit=Limit(number=0.6))), True),
        (_row((1,), Ratio(of="it", figures=(0.7,), limit=Limit(number=0.6))), False),
        (_row((1,), Ratio(of="it", figures=(), limit=Limit(number=0.6))), None),
        (_row((6,), Ratio(of="it", figures=(), limit=Limit(number=0.6))), False),
        (_row((1,), Ratio(of="it", figures=(9,))), True),
        (Row(group="g", what="w", figures=(1,)), None),
        (Row(group="g", what="w", figures=(4,), limit=Limit(number=3, least=True)), True),
        (Row(group="g", what="w", figures=(2,), limit=Limit(number=3, least=True)), False),
    ],
)
def test_a_goal_is_met_by_the_median_of_what_was_seen(row: Row, met: bool | None) -> None:
    assert row.met is met


@pytest.mark.parametrize(
    ("figure", "shown"),
    [(20600, "20,600"), (431.4, "431"), (43.21, "43.2"), (1.175, "1.18"), (-0.5, "-0.50")],
)
def test_numbers_have_three_digits_or_so(figure: float, shown: str) -> None:
    assert number(figure) == shown


def test_the_table_shows_figure_ratio_and_noise() -> None:
    row = _row((1, 2, 4), ratio("theirs", (1, 2, 4), (40, 100, 100), Limit(number=1 / 40)))
    assert markdown([row], ["a note"]).splitlines()[2:] == [
        "| w | at most 5 | 2.00 | yes | 1/40.0 of theirs | 1.00, 2.00, 4.00; 1/50.0, 1/40.0, 1/25.0 |",
        "",
        "- a note",
    ]


def test_what_could_not_be_measured_says_why() -> None:
    row = Row(group="g", what="w", goal="at most 5", missing="no package index")
    assert "| w | at most 5 | not measured: no package index |" in markdown([row], [])
    assert document([row], [])["rows"][0]["missing"] == "no package index"


def _outcome(*names: str, failed: dict[str, str]) -> Outcome:
    seen = Seen(cpu_us=100.0, calls_per_s=1.0, busy=0.5, p50_ms=50.0, p99_ms=60.0, pieces=20.0)
    return Outcome(seen={name: [seen, seen] for name in names}, failed=failed)


def test_a_comparison_that_fails_leaves_our_figure_and_no_ratio() -> None:
    outcome = _outcome("exai-32", "bare-32", failed={"litellm-32": "cannot be installed"})
    ours, theirs, bare, _ = call_rows.rows({"calls"}, outcome)
    assert (ours.figures, ours.met) == ((100.0, 100.0), None)
    assert [len(one.figures) for one in ours.ratios] == [0, 2]
    assert (theirs.missing, bare.missing) == ("cannot be installed", None)


def test_every_group_of_loads_gives_rows_whatever_failed() -> None:
    groups = {"calls", "latency", "sessions", "streaming"}
    whole = _outcome(
        "exai-32", "exai-256", "exai-stream", "exai-50ms", "direct-50ms", "bare-32", "bare-256", "litellm-32",
        failed={},
    )  # fmt: skip
    assert all(row.figures and not row.missing for row in call_rows.rows(groups, whole))
    nothing = call_rows.rows(groups, _outcome(failed={}))
    assert [row.what for row in nothing] == [row.what for row in call_rows.rows(groups, whole)]
    assert all(row.missing for row in nothing)


def test_a_server_is_known_by_its_line_and_ended(tmp_path: Path) -> None:
    code = "import time; print('ready on here', flush=True); time.sleep(60)"
    with running([sys.executable, "-c", code], r"on (\w+)", folder=tmp_path) as child:
        assert child.address == "here"
        assert child.found_at - child.started_at > 0
    assert child.process.returncode is not None


def test_a_server_that_ends_instead_says_its_last_words(tmp_path: Path) -> None:
    code = "print('no port left')"
    with (
        pytest.raises(NotMeasured, match="no port left"),
        running([sys.executable, "-c", code], r"on (\w+)", folder=tmp_path),
    ):
        pass


def test_a_child_inherits_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIMI_API_KEY", "a-real-one")
    assert "KIMI_API_KEY" not in environment(tmp_path, {})
