"""``sync`` and ``fix`` as they are run on October's pair, and what ``check`` then leaves to a person."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from exai_ops.cli import main

from .by_hand import DATA, OCTOBER, PAIRS, plain
from .cases import EXAMPLE, LIVE

LEFT = {
    "ENV001": (6, "only a person knows whether the live file needs a key, or the example has one too many"),
    "ENV004": (3, "two assignments, and the last is empty: which was meant"),
    "ENV005": (1, "two values of which neither is known to be public: which is right"),
    "ENV006": (7, "where a key belongs"),
    "ENV008": (3, "whether a section is missing there or too much here"),
    "ENV009": (12, "whether a comment is worth keeping: sync takes none out"),
    "ENV010": (27, "which of two explanations is true"),
    "ENV011": (1, "where a section belongs"),
    "ENV202": (31, "nobody takes out a key but who knows what else reads the file"),
    "ENV207": (2, "which of two timeouts is wrong"),
    "ENV303": (11, "a key that is issued elsewhere"),
    "ENV304": (1, "whoever knows the old token must get the new one"),
    "CMP002": (1, "how compose is run"),
    "CMP004": (1, "the compose file is not an environment file"),
    "CMP005": (1, "the compose file is not an environment file"),
    "CMP008": (6, "which port is meant for other machines"),
    "CMP010": (1, "which version was tried"),
    "CMP012": (2, "the compose file is not an environment file"),
    "CMP014": (1, "the compose file is not an environment file"),
    "CMP016": (1, "how much memory a service needs"),
}
MENDED = {"ENV002", "ENV101", "ENV104", "ENV105", "ENV208"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for there, here in ((EXAMPLE, EXAMPLE), (PAIRS[OCTOBER], LIVE), ("docker-compose.yml",) * 2):
        shutil.copy(DATA / OCTOBER / there, tmp_path / here)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """How often each rule finds something."""
    capsys.readouterr()
    main(["env", "check", "--format", "json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    return Counter(finding["code"] for finding in found if finding["status"] != "skip")


def test_what_is_left_needs_a_person(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = check(capsys)
    assert {*before} - {*LEFT} == MENDED
    assert (main(["env", "sync"]), main(["env", "fix"])) == (0, 0)
    after = check(capsys)
    assert after == {code: count for code, (count, _) in LEFT.items()}
    assert before["ENV005"] == 11
    said_twice = after["ENV202"] - before["ENV202"]
    assert said_twice == 8  # of the keys that the example now has as well


def test_nothing_is_lost_and_no_secret_is_gained(folder: Path) -> None:
    before = (folder / EXAMPLE).read_text(encoding="utf-8-sig")
    live = plain(folder / LIVE)
    main(["env", "sync"])
    text = (folder / EXAMPLE).read_text(encoding="utf-8-sig")
    changed = Counter(before.split("\n")) - Counter(text.split("\n"))
    assert {line.partition("=")[0] for line in changed} <= live.values().keys()  # other values, no other line
    after = plain(folder / EXAMPLE).values()
    assert after.keys() == plain(DATA / OCTOBER / EXAMPLE).values().keys() | live.values().keys()
    secret = re.compile(r"(?:KEY|TOKEN|PASSWORD|SECRET|REDIS_URL)$")
    told = {key: value for key, value in after.items() if secret.search(key) and value}
    assert all(re.search(r"your[-_]", value) for value in told.values()), sorted(told)


def test_a_second_run_changes_nothing_and_check_says_so(folder: Path) -> None:
    assert (main(["env", "sync", "--check"]), main(["env", "fix", "--check"])) == (1, 1)
    assert (main(["env", "sync"]), main(["env", "fix"])) == (0, 0)
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert (main(["env", "sync", "--check"]), main(["env", "fix", "--check"])) == (0, 0)
    assert (main(["env", "sync"]), main(["env", "fix"])) == (0, 0)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written
