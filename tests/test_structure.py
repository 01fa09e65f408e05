"""What the tree must hold, whoever touches it: locks, docs, words, rooms."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from exai_ops.cli import COMMANDS, EXIT_BUG, EXIT_PIPE

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "requirements-dev.lock")


def committed() -> list[Path]:
    """Files that git knows, or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def locked(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


def normal(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_by_hash_and_names_no_place(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked(name)) > 20
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(
        r"://|--index|--find-links|--extra|file:|^-|/(home|root|work|tmp|opt)/", text, re.MULTILINE
    )


def test_the_locks_hold_what_the_project_asks_for() -> None:
    runtime, dev = (locked(name) for name in LOCKS)
    groups = PROJECT["dependency-groups"]
    assert {normal(r) for r in PROJECT["project"]["dependencies"]} <= runtime.keys()
    assert {normal(r) for r in groups["build"]} <= runtime.keys()
    assert {normal(r) for r in groups["dev"] if isinstance(r, str)} <= dev.keys()
    assert runtime.items() <= dev.items()


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    targets = re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE)
    assert sorted(phony.split()) == sorted(targets)
    assert sorted(re.findall(r"^make ([a-z-]+)", listed, re.MULTILINE)) == sorted(targets)


def test_rooms_import_what_they_may() -> None:
    code = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_command_and_exit_code_has_a_line_in_the_docs() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, entry in COMMANDS.items():
        assert f"| `exai {name}` | {entry.help} |" in page
    for code in (0, 1, 2, 3, EXIT_BUG, 124, 130, EXIT_PIPE):
        assert re.search(rf"^\| {code} \| \w", page, re.MULTILINE)


def test_every_page_of_the_docs_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= set(re.findall(r"\]\((\w[\w-]*\.md)\)", index))


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_path_of_a_machine_and_no_address_of_a_package() -> None:
    homes = r"/(?:home|root|Users)/[a-z]"
    addresses = r"https?://\S+?(?:/simple/|/packages/[0-9a-f]{2}/|\.whl|\.tar\.gz|/-/\S+\.tgz)"
    pattern = re.compile(f"{homes}|{addresses}|{re.escape(str(ROOT))}")
    for path in committed():
        if path != Path(__file__) and path.suffix in {".py", ".md", ".toml", ".lock", ".yml", ".example", ""}:
            found = pattern.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{path.relative_to(ROOT)}: {found}"


def test_words() -> None:
    names = re.compile(r"manager|helper|utils|unified|enhanced")
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    for path in (ROOT / "exai_ops").rglob("*.py"):
        assert not names.search(path.name), path
        assert not marks.search(path.read_text(encoding="utf-8")), path


def test_every_module_says_what_it_gives() -> None:
    silent = [
        path.relative_to(ROOT)
        for path in (ROOT / "exai_ops").rglob("*.py")
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []
