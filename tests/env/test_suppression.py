"""Suppressions in files and in pyproject, the baseline, and what is said of those that do nothing."""

from __future__ import annotations

import os
import socket
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.env import baseline
from exai_ops.env.config import Ignore, parse_config, read_config
from exai_ops.env.rules.table import Context, Rule
from exai_ops.env.runner import Leave, run
from exai_ops.env.suppression import Decisions, Suppression, apply, both_sides, in_config, in_text
from exai_ops.errors import CouldNotLook, UsageError
from exai_ops.findings import Finding, Location, Status

from .cases import document


def finding(code: str, line: int | None = 1, key: str | None = "KEY", file: str = ".env") -> Finding:
    return Finding(code, Status.WARNING, "m", where=Location(file, line, key))


def codes(findings: Iterable[Finding]) -> list[str]:
    return [f.code for f in findings]


def judge_all(_code: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("KEY=1", ["ENV104"]),
        ("KEY=1  # exai:ignore[ENV104] it is meant", []),
        ("KEY=1  # 30 s  # exai:ignore[ENV104] it is meant", []),
        ("KEY=1  #exai:ignore[ENV104] it is meant", []),
        ("KEY=1  # exai:ignore[ENV105,ENV104] both", ["ENV090"]),
        ("KEY=1  # exai:ignore[ENV105] another", ["ENV104", "ENV090"]),
        ("KEY=1  # exai:ignore[ENV104]", ["ENV104", "ENV091"]),
        ("KEY=1  # exai:ignore[ENV104]   ", ["ENV104", "ENV091"]),
        ("KEY=1  # exai:ignore[] why", ["ENV104", "ENV090"]),
        ("KEY=1  # exai:ignore ENV104 no bracket", ["ENV104", "ENV090"]),
        ("KEY=1  # exai:ignore-file", ["ENV104", "ENV090"]),
        ("KEY=1  # what exai:ignore does", ["ENV104"]),
        ("KEY=1  # exai:ignored", ["ENV104"]),
        ("KEY='#exai:ignore[ENV104] in a word'", ["ENV104"]),
        ("OTHER=1  # exai:ignore[ENV104] elsewhere\nKEY=1", ["ENV090"]),
    ],
)
def test_on_the_line(text: str, left: list[str]) -> None:
    given = [finding("ENV104", 1)] if not text.startswith("OTHER") else []
    assert codes(apply(given, in_text(".env", text), judged=judge_all)) == left


@pytest.mark.parametrize(
    ("text", "line", "hidden"),
    [
        ("# exai:ignore[ENV104] why\nKEY=1", 2, True),
        ("# exai:ignore[ENV104] why\n# 30 s holds\nKEY=1", 3, True),
        ("# exai:ignore[ENV104] why\n\nKEY=1", 3, False),
        ("# exai:ignore[ENV104] why\nOTHER=1\nKEY=1", 3, False),
        ("OTHER=1\n# exai:ignore[ENV104] why", 1, False),
        ("# exai:ignore-file[ENV104] why\n\nOTHER=1\nKEY=1", 4, True),
        ("    # exai:ignore[ENV104] in a compose file\n    - KEY=1", 2, True),
    ],
)
def test_above_and_for_the_file(text: str, line: int, hidden: bool) -> None:
    left = codes(apply([finding("ENV104", line)], in_text(".env", text), judged=judge_all))
    assert left == ([] if hidden else ["ENV104", "ENV090"])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("K=1  # exai:ignore[ENV102] why", "take out exai:ignore[ENV102] and its reason"),
        ("# exai:ignore-file[ENV102] why", "take out exai:ignore-file[ENV102] and its reason"),
        (
            "K=1  # exai:ignore[ENV102,ENV104] why",
            "take ENV102 out of exai:ignore[ENV102,ENV104]; the reason stays for the others",
        ),
        ("K=1  # exai:ignore[] why", "write # exai:ignore[CODE] and why, with the code of the finding"),
        ("K=1  # exai:ignore ENV002 why", "write # exai:ignore[ENV002] and why"),
        ("K=1  # exai:ignore why", "write # exai:ignore[CODE] and why, with the code of the finding"),
    ],
)
def test_the_hint_fits_how_it_is_written(text: str, hint: str) -> None:
    (said,) = apply([finding("ENV104", 1)] * ("ENV104" in text), in_text(".env", text), judged=judge_all)
    assert said.hint.startswith(hint)


def test_the_hint_for_an_entry_of_pyproject_names_it_so() -> None:
    (said,) = apply([], in_config([Ignore(code="ENV102", reason="why")]), judged=judge_all)
    assert said.hint == "take out the entry for ENV102 in [tool.exai] ignore"


def test_a_code_that_no_rule_has_is_said_to_be_none() -> None:
    given = in_text(".env", "K=1  # exai:ignore[ENV999] why")
    (said,) = apply([], given, judged=judge_all, codes={"ENV104"})
    assert said.message == "there is no rule ENV999, so its suppression hides nothing"


YAML = """\
services:
  a:
    # exai:ignore[CMP008] for the neighbours
    ports:
    - 80:80

    - target: 81
      published: 81
    image: x:1
  b:
    ports:
      - 82:82
"""


@pytest.mark.parametrize(
    ("line", "hidden"), [(4, True), (5, True), (7, True), (8, True), (9, False), (12, False)]
)
def test_above_a_block_of_yaml_it_holds_for_the_block(line: int, hidden: bool) -> None:
    given = in_text("c.yml", YAML, nested=True)
    assert codes(apply([finding("CMP008", line, file="c.yml")], given, judged=judge_all)) == (
        [] if hidden else ["CMP008", "ENV090"]
    )


def _is_below(line: str, other: str) -> bool:
    """Whether a line that follows another is within its block: deeper, or an item of the list of its key."""
    deeper = len(line) - len(line.lstrip()) - (len(other) - len(other.lstrip()))
    return deeper > 0 or (deeper == 0 and line.lstrip().startswith("- ") > other.lstrip().startswith("- "))


@given(st.lists(st.sampled_from(["a:", "  b:", "  - c", "    d: 1", "- e", "", "    - f: 1", "      # g"])))
def test_a_block_ends_before_the_first_line_that_is_not_within(lines: list[str]) -> None:
    mark = "# exai:ignore[ENV104] why"
    for at, line in enumerate(lines):
        if not line.strip() or "#" in line:
            continue
        text = "\n".join([*lines[:at], f"{line}  {mark}", *lines[at + 1 :]])
        (given_,) = in_text("c.yml", text, nested=True)
        last = at
        for number, other in enumerate(lines[at + 1 :], at + 1):
            if other.strip() and "#" not in other:
                if not _is_below(other, line):
                    break
                last = number
        assert (given_.first, given_.last) == (at + 1, last + 1)


@pytest.mark.parametrize(
    ("live", "hidden"),
    [
        ("X=1\nKEY=2  # exai:ignore[ENV005] mine", True),
        ("# exai:ignore[ENV005] mine\nKEY=2", True),
        ("# exai:ignore-file[ENV005] mine\nKEY=2", True),
        ("X=1  # exai:ignore[ENV005] mine\nKEY=2", False),
        ("KEY=2  # exai:ignore[ENV010] mine", False),
    ],
)
def test_a_difference_may_be_suppressed_in_the_live_file_too(live: str, hidden: bool) -> None:
    both = document("KEY=1\n", ".env.example"), document(live, ".env")
    given = both_sides(in_text(".env", live), *both)
    left = apply([finding("ENV005", 1, file=".env.example")], given, judged=judge_all)
    assert ("ENV005" in codes(left)) is not hidden


def test_it_is_for_its_own_file() -> None:
    suppressions = in_text("a[1].env", "# exai:ignore-file[ENV104] why")
    assert codes(apply([finding("ENV104", file="a1.env")], suppressions, judged=judge_all)) == [
        "ENV104",
        "ENV090",
    ]
    assert apply([finding("ENV104", file="a[1].env")], suppressions, judged=judge_all) == []


@pytest.mark.parametrize(
    ("entry", "hidden"),
    [
        (Ignore(code="ENV104", reason="why"), True),
        (Ignore(code="ENV104", reason="why", key="K*"), True),
        (Ignore(code="ENV104", reason="why", key="X*"), False),
        (Ignore(code="ENV104", reason="why", file=".env*"), True),
        (Ignore(code="ENV104", reason="why", file="compose/*"), False),
    ],
)
def test_in_pyproject(entry: Ignore, hidden: bool) -> None:
    left = codes(apply([finding("ENV104")], in_config([entry]), judged=judge_all))
    assert left == ([] if hidden else ["ENV104", "ENV090"])


def test_what_could_not_be_looked_at_is_not_hidden() -> None:
    skipped = Finding("ENV104", Status.SKIP, "m")
    suppression = in_config([Ignore(code="ENV104", reason="why")])
    assert apply([skipped], suppression, judged=lambda _code: False) == [skipped]


def _rule(code: str, *findings: Finding) -> Rule:
    return Rule(
        code=code, severity=Status.WARNING, title="t", hint="h", explanation="e",
        function=lambda _context: findings,
    )  # fmt: skip


UNUSED = Suppression(code="ENV104", reason="why", where=Location(".env", 1), file=".env")
KEPT = (_rule("ENV090"), _rule("ENV091"), _rule("ENV092"))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((_rule("ENV104"), *KEPT), ["ENV090"]),
        ((_rule("ENV105"), *KEPT), []),
        ((_rule("ENV104"),), []),
        ((_rule("ENV104", Finding("ENV104", Status.SKIP, "m")), *KEPT), ["ENV104"]),
    ],
)
def test_unused_only_when_its_rule_ran_and_could_look(rules: tuple[Rule, ...], said: list[str]) -> None:
    leave = Leave(suppressions=[UNUSED], codes=frozenset({"ENV104", "ENV105"}))
    assert codes(run(rules, Context(), leave)) == said


def test_a_code_that_there_is_not_hides_nothing() -> None:
    leave = Leave(suppressions=in_text(".env", "# exai:ignore-file[ENV999] why"), codes=frozenset({"ENV104"}))
    assert codes(run([_rule("ENV104"), *KEPT], Context(), leave)) == ["ENV090"]


# --- pyproject ---------------------------------------------------------------------------------


def test_the_table_is_read_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.exai]\npublic = ["A_*"]\ndiffer = ["B"]\nreaders = ["compose"]\nenv_file = ".env.docker"\n'
        'ignore = [\n  { code = "ENV005", key = "C", reason = "each has its own" },\n]\n'
    )
    config = read_config(tmp_path)
    assert (config.public, config.differ, config.readers) == (("A_*",), ("B",), ("compose",))
    assert config.env_file == ".env.docker"
    assert config.ignore == (Ignore(code="ENV005", key="C", reason="each has its own", line=7),)


def test_no_file_and_no_table_are_empty(tmp_path: Path) -> None:
    assert read_config(tmp_path).readers is None
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    assert read_config(tmp_path).ignore == ()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"pubic": []}, "has no pubic"),
        ({"public": "A"}, "public is not a list"),
        ({"differ": [1]}, "differ holds other than text"),
        ({"env_file": 1}, "env_file is not text"),
        ({"ignore": [{"code": "ENV005"}]}, "for ENV005 has no reason"),
        ({"ignore": [{"code": "ENV005", "reason": "  "}]}, "for ENV005 has no reason"),
        ({"ignore": [{"reason": "why"}]}, "is not understood"),
        ({"ignore": [{"code": "ENV005", "reason": "why", "keys": "A"}]}, "is not understood"),
        ({"ignore": ["ENV005"]}, "is not understood"),
    ],
)
def test_a_table_that_is_wrong_is_a_usage_error(table: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_config(table)


def test_a_table_in_other_words_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool]\nexai.public = ["FOO"]\n')
    assert read_config(tmp_path).public == ("FOO",)
    (tmp_path / "pyproject.toml").write_text("tool = 5  # no tool.exai\n")
    assert read_config(tmp_path).public == ()


@pytest.mark.parametrize(
    ("text", "part"),
    [("[tool]\nexai = 5\n", "tool.exai is not a table"), ("[tool.exai]\nreaders = []\n", "readers is empty")],
)
def test_a_table_that_says_nothing_that_can_be_done(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=part):
        read_config(tmp_path)


@pytest.mark.parametrize("data", [b"[tool.exai", b"[tool.exai]\n\xff"])
def test_a_file_that_is_no_toml_is_a_usage_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "pyproject.toml").write_bytes(data)
    with pytest.raises(UsageError, match=r"pyproject\.toml"):
        read_config(tmp_path)


def test_a_long_comment_and_many_decisions_cover_the_same() -> None:
    lines = [
        "A=0",
        *("# more" for _ in range(70)),
        "A=1",
        *(f"B{n}=1 # exai:ignore[ENV104] r{n}" for n in range(9)),
    ]
    text = "\n".join(["# exai:ignore[ENV104] why", *lines[1:]])
    decisions = Decisions(in_text(".env", text))
    covered = [n for n in range(1, 90) if decisions.covering(finding("ENV104", n))]
    assert covered == list(range(1, 82))
    assert [s.reason for s in decisions.covering(finding("ENV104", 75))] == ["r2"]
    assert decisions.covering(finding("ENV105", 75)) == []


# --- baseline ----------------------------------------------------------------------------------

some = st.builds(
    finding,
    code=st.sampled_from(["ENV001", "ENV104"]),
    line=st.integers(1, 9),
    key=st.none() | st.sampled_from(["A", "B"]),
    file=st.sampled_from([".env", "é.env"]),
)


@given(st.lists(some))
def test_what_is_written_is_what_is_left_out(findings: list[Finding]) -> None:
    known = baseline.from_text(baseline.to_text(findings), "b")
    assert sum(known.values()) == len(findings)
    assert baseline.apply(findings, known, "b", judged=judge_all) == []


def test_lines_do_not_matter_and_numbers_do() -> None:
    known = baseline.from_text(baseline.to_text([finding("ENV104", 3)]), "b")
    assert baseline.apply([finding("ENV104", 90)], known, "b", judged=judge_all) == []
    two = [finding("ENV104", 3), finding("ENV104", 4)]
    assert baseline.apply(two, known, "b", judged=judge_all) == two[1:]


def test_an_entry_that_is_gone_is_said() -> None:
    known = Counter({("ENV104", ".env", "KEY"): 1})
    (stale,) = baseline.apply([], known, "b.json", judged=judge_all)
    assert (stale.code, stale.where.file) == ("ENV092", "b.json")
    assert "ENV104 .env KEY" in stale.message
    assert baseline.apply([], known, "b.json", judged=lambda _code: False) == []


def test_it_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    baseline.write(path, [finding("ENV104")])
    assert baseline.read(path) == Counter({("ENV104", ".env", "KEY"): 1})
    assert [p.name for p in tmp_path.iterdir()] == ["base.json"]


@pytest.mark.parametrize("kind", ["fifo", "socket", "dangling link", "folder", "text"])
def test_nothing_but_a_baseline_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("base.json")
    with socket.socket(socket.AF_UNIX) as server:
        make: dict[str, Callable[[], object]] = {
            "fifo": lambda: os.mkfifo(path),
            "socket": lambda: server.bind(str(path)),
            "dangling link": lambda: path.symlink_to("gone"),
            "folder": path.mkdir,
            "text": lambda: path.write_text("A=1\n"),
        }
        make[kind]()
        before = path.lstat()
        with pytest.raises(CouldNotLook, match=r"^base\.json: "):
            baseline.write(path, [finding("ENV104")])
        assert path.lstat() == before
    assert [p.name for p in tmp_path.iterdir()] == ["base.json"]


def test_a_link_is_followed_and_the_mode_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "base.json"
    baseline.write(target, [])
    target.chmod(0o600)
    (tmp_path / "link").symlink_to("real/base.json")
    baseline.write(tmp_path / "link", [finding("ENV104")])
    assert (tmp_path / "link").is_symlink()
    assert baseline.read(target) == Counter({("ENV104", ".env", "KEY"): 1})
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [p.name for p in target.parent.iterdir()] == ["base.json"]


@pytest.mark.parametrize(
    "text",
    [
        '{"findings": [{"code": "A", "file": "", "key": "", "count": 1e400}]}',
        "",
        "[]",
        "{}",
        '{"findings": [1]}',
        '{"findings": [{"code": 1, "file": "", "key": ""}]}',
        "[" * 9999,
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "b").write_text(text)
    with pytest.raises(CouldNotLook, match="is not a baseline"):
        baseline.read(tmp_path / "b")


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="is not a file"):
        baseline.read(tmp_path)
    with pytest.raises(CouldNotLook, match="cannot be written"):
        baseline.write(tmp_path / "no" / "b", [])
