from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from exai_ops.sem import executable
from exai_ops.sem import process as module
from exai_ops.sem.frames import Frames
from exai_ops.sem.layout import to_text
from exai_ops.sem.maps import Mapping
from exai_ops.sem.memory import Memory
from exai_ops.sem.objects import Objects
from exai_ops.sem.process import NotReadable, NotSupported, Process, ProcessGone, find, python_processes
from exai_ops.sem.twin import TwinRefused, command, layout_of, twin

from .targets import PYTHONS, running, target

WAITS = "tell(thing=id(sys))\nsys.stdin.read()"
HOLDS = """
async def hold(sem):
    async with sem:
        await wait()


async def main():
    task = asyncio.create_task(hold(asyncio.Semaphore(2)), name="holder")
    await asyncio.sleep(0)
    tell(task=id(task))
    await task


asyncio.run(main())
"""
FREE = (1 << 22) - 3  # beyond what pid_max allows


@pytest.mark.parametrize("python", PYTHONS)
def test_what_a_process_is(python: str) -> None:
    said = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    with running(python, WAITS) as (child, _):
        process = Process.open(child.pid)
        assert process.version == tuple(map(int, said.stdout.split()))
        assert (process.pid, process.uid, process.inner_pid) == (child.pid, os.geteuid(), child.pid)
        assert Path(process.exe).samefile(python)
        assert not process.contained
        assert process.notes == ()
        assert len(process.build) == 32
        assert Process.open(child.pid).build == process.build
        process.check()


def test_a_process_that_is_not_there() -> None:
    with pytest.raises(ProcessGone, match=f"there is no process {FREE}") as caught:
        Process.open(FREE)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_a_zombie() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(ProcessGone, match="zombie"):
            Process.open(child.pid)
    finally:
        child.wait()


def test_a_process_that_ends_is_told_from_one_that_runs() -> None:
    with running(PYTHONS[0], WAITS) as (child, known):
        process = Process.open(child.pid)
        layout = layout_of(process)
        with Memory(child.pid) as memory:
            objects = Objects(memory, layout)
            child.kill()
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            with pytest.raises(ProcessGone, match="ended during the scan"):
                process.check()
            objects.forget()
            assert objects.types() == {}
            assert objects.instances({known["thing"]}) == {known["thing"]: []}
            assert Frames(objects).threads() == []
            assert objects.referrers([known["thing"]]) == {known["thing"]: []}
        with pytest.raises(ProcessGone):
            layout_of(process)


def test_a_process_that_ends_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", path)

    with running(PYTHONS[0], WAITS) as (child, _):
        monkeypatch.setattr(module, "_link", gone)
        with pytest.raises(ProcessGone, match="ended just now"):
            Process.open(child.pid)
    with pytest.raises(ProcessGone):
        Memory(child.pid)


def test_an_id_that_was_given_again_is_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(PYTHONS[0], WAITS) as (child, _):
        process = Process.open(child.pid)
        monkeypatch.setattr(module, "_stat", lambda _: ("S", process.start_ticks + 1))
        with pytest.raises(ProcessGone):
            process.check()


def test_a_stopped_process_is_said_to_be_stopped() -> None:
    with target(PYTHONS[0], WAITS) as one:
        os.kill(one.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, one.pid, os.WSTOPPED | os.WNOWAIT)
        assert "stopped" in " ".join(Process.open(one.pid).notes)
        assert one.objects.types()
        os.kill(one.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("maps", "exe", "error"),
    [
        (["/usr/bin/sleep", "/lib/libc.so.6"], "/usr/bin/sleep", "is not Python: it runs /usr/bin/sleep"),
        (["/usr/bin/pypy3"], "/usr/bin/pypy3", "runs PyPy"),
        (["/usr/bin/app", "/lib/libpypy3.10-c.so"], "/usr/bin/app", "runs PyPy"),
        (["/usr/bin/python3.13t"], "/usr/bin/python3.13t", "free-threaded"),
        (["/usr/bin/python", "/lib/libpython3.14t.so.1.0"], "/usr/bin/python", "free-threaded"),
    ],
)
def test_other_programs_are_refused_by_name(maps: list[str], exe: str, error: str) -> None:
    lines = [Mapping(4096 * i, 4096 * (i + 1), "r-xp", 0, file) for i, file in enumerate(maps, 1)]
    with pytest.raises(NotSupported, match=error):
        executable.interpreter(7, lines, exe)


@pytest.mark.parametrize(
    ("maps", "exe", "wanted"),
    [
        (["/usr/bin/python3.11", "/lib/libc.so.6"], "/usr/bin/python3.11", "/usr/bin/python3.11"),
        (
            ["/bin/python3", "/lib/libpython3.so", "/lib/libpython3.12.so.1"],
            "/bin/python3",
            "/lib/libpython3.12.so.1",
        ),
        (["/usr/sbin/uwsgi", "/lib/libpython3.11.so.1.0"], "/usr/sbin/uwsgi", "/lib/libpython3.11.so.1.0"),
        (["/usr/bin/python3.11 (deleted)"], "/usr/bin/python3.11 (deleted)", "/usr/bin/python3.11 (deleted)"),
    ],
)
def test_the_file_that_holds_the_interpreter(maps: list[str], exe: str, wanted: str) -> None:
    lines = [Mapping(4096 * i, 4096 * (i + 1), "r-xp", 0, file) for i, file in enumerate(maps, 1)]
    assert executable.interpreter(7, lines, exe) == wanted


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("python3.9", None),
        ("libpython2.7.so.1.0", None),
        ("python3.15", None),
        ("libpython3.10.so.1.0", (3, 10)),
    ],
)
def test_versions(image: str, wanted: tuple[int, int] | None) -> None:
    if wanted:
        assert executable.version(7, image, "") == wanted
        return
    with pytest.raises(NotSupported, match=r"CPython 3.10 to 3.14 can be read"):
        executable.version(7, image, "")


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"\x7fELF\1" + bytes(15), "32-bit"),
        (b"\x7fELF\2" + bytes(13) + b"\xf3\0", "built for unknown"),
        (b"", "32-bit"),
    ],
)
def test_other_machines(tmp_path: Path, head: bytes, error: str) -> None:
    program = tmp_path / "python3"
    program.write_bytes(head)
    with pytest.raises(NotSupported, match=error):
        executable.check_machine(7, str(program))


def test_a_program_that_is_not_python() -> None:
    with contextlib.ExitStack() as stack:
        child = stack.enter_context(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
        stack.callback(child.kill)
        with pytest.raises(NotSupported, match="is not Python"):
            Process.open(child.pid)
    with pytest.raises((NotSupported, ProcessGone, NotReadable)):
        Process.open(2 if Path("/proc/2").exists() else FREE)


@pytest.mark.parametrize(
    ("other_namespace", "uid", "me", "scope", "words"),
    [
        (True, 0, 0, 0, ["another PID namespace", "--cap-add=SYS_PTRACE"]),
        (False, 1000, 2000, 1, ["belongs to user 1000", "sudo exai sem check 7"]),
        (False, 1000, 1000, 1, ["ptrace_scope=1", "sysctl kernel.yama.ptrace_scope=0"]),
        (False, 0, 0, 0, ["CAP_SYS_PTRACE", "docker run --cap-add=SYS_PTRACE"]),
        (False, 1000, 1000, 0, ["no right", "sudo exai sem check 7"]),
    ],
)
def test_a_refusal_says_what_would_allow_it(
    monkeypatch: pytest.MonkeyPatch, *, other_namespace: bool, uid: int, me: int, scope: int, words: list[str]
) -> None:
    monkeypatch.setattr(module, "_namespace", lambda pid, _: f"pid:[{pid if other_namespace else 1}]")
    monkeypatch.setattr(module, "_scope", lambda: scope)
    monkeypatch.setattr(os, "geteuid", lambda: me)
    refused = module._refusal(7, uid)
    assert all(word in f"{refused.message} {refused.hint}" for word in words)


def test_no_right_to_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    with running(PYTHONS[0], WAITS) as (child, _):
        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(NotReadable) as caught:
            Process.open(child.pid)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_processes_are_found_by_name(tmp_path: Path) -> None:
    script = tmp_path / "unusual_worker.py"
    script.write_text("import sys\nprint(1, flush=True)\nsys.stdin.read()", encoding="utf-8")
    with contextlib.ExitStack() as stack:
        child = stack.enter_context(
            subprocess.Popen(
                [PYTHONS[0], "-X", "dev", str(script), "--queue=orange-9"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        stack.callback(child.kill)
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in python_processes()
        assert os.getpid() not in python_processes()
        for name in ("unusual_worker.py", "unusual_worker", str(script), "orange-9"):
            assert find(name) == [child.pid]
        assert find("nothing has this name") == []
        assert Process.open(child.pid).name == str(script)


@pytest.mark.parametrize("python", PYTHONS)
def test_tasks_written_in_python(python: str) -> None:
    swap = "asyncio.Task = asyncio.tasks.Task = asyncio.tasks._PyTask\n"
    swap += "asyncio.Future = asyncio.futures.Future = asyncio.futures._PyFuture\n"
    with target(python, swap + HOLDS) as one:
        task = one.frames.task(one.known["task"])
        assert task is not None
        assert (one.objects.kind(one.known["task"]), task.name, task.state) == ("task", "holder", "pending")
        assert one.objects.kind(task.waits_for) == "future"
        assert [frame.info.name for frame in one.frames.chain(one.known["task"])][:2] == ["hold", "wait"]


def test_a_loop_that_is_not_of_the_standard_library() -> None:
    policy = "import uvloop\nasyncio.set_event_loop_policy(uvloop.EventLoopPolicy())\n"
    with target(sys.executable, policy + HOLDS) as one:
        task = one.frames.task(one.known["task"])
        assert task is not None
        assert one.objects.types()[one.objects.type_of(task.loop)].endswith("Loop")
        assert [frame.info.name for frame in one.frames.chain(one.known["task"])][:2] == ["hold", "wait"]


def test_a_virtual_environment(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    subprocess.run([PYTHONS[-1], "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    with target(str(python), HOLDS) as one:
        assert [frame.info.name for frame in one.frames.chain(one.known["task"])][:2] == ["hold", "wait"]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A program that was copied, to be replaced while it runs."""
    program = tmp_path / "bin" / "python3"
    program.parent.mkdir()
    shutil.copy(os.path.realpath(PYTHONS[0]), program)
    return program


def test_a_program_that_was_replaced_while_it_ran(copied: Path) -> None:
    home = subprocess.run(
        [PYTHONS[0], "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with running(str(copied), WAITS, env={"PYTHONHOME": home}) as (child, _):
        copied.unlink()
        process = Process.open(child.pid)
        assert "replaced" in " ".join(process.notes)
        assert process.exe == f"/proc/{child.pid}/exe"
        assert process.path == str(copied)


def test_an_interpreter_inside_another_program(tmp_path: Path) -> None:
    lonely = tmp_path / "lib" / "libpython3.11.so.1.0"
    lonely.parent.mkdir()
    lonely.touch()
    with running(PYTHONS[0], WAITS) as (child, _):
        inside = _replaced(
            Process.open(child.pid), path="/usr/sbin/uwsgi", image=str(lonely), version=(3, 11)
        )
    with pytest.raises(TwinRefused, match="no interpreter beside it") as caught:
        command(inside)
    assert caught.value.hint == "install python3.11 of the same build"
    beside = tmp_path / "bin" / "python3.11"
    beside.parent.mkdir()
    beside.touch(mode=0o755)
    assert command(inside) == [str(beside)]


def test_the_files_of_a_container_are_reached_through_its_root() -> None:
    with running(PYTHONS[0], WAITS) as (child, _):
        own = Process.open(child.pid)
        held = _replaced(own, contained=True, libraries=("/lib", "/usr/lib"))
        words = command(held)
    root = f"/proc/{child.pid}/root"
    assert words[0] == root + executable.loader(own.exe)
    assert words[1:] == ["--library-path", f"{root}/lib:{root}/usr/lib", own.exe]
    assert command(own) == [own.exe]


@pytest.mark.parametrize(
    ("me", "uid", "wanted"), [(0, 1234, 1234), (0, 0, None), (1234, 1234, None), (1234, 0, None)]
)
def test_the_twin_never_runs_as_root_for_another(
    monkeypatch: pytest.MonkeyPatch, me: int, uid: int, wanted: int | None
) -> None:
    asked: dict[str, Any] = {}

    def refuse(words: list[str], **options: Any) -> None:
        asked.update(options, words=words)
        raise OSError(8, "Exec format error")

    with running(PYTHONS[0], WAITS) as (child, _):
        process = _replaced(Process.open(child.pid), uid=uid, gid=uid)
    monkeypatch.setattr(os, "geteuid", lambda: me)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(TwinRefused, match="cannot be run"), twin(process):
        pass
    assert (asked.get("user"), asked.get("group")) == (wanted, wanted)
    assert asked["env"] == {"LC_ALL": "C.UTF-8"}
    assert asked["words"][1:4] == ["-I", "-S", "-E"]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ('print(\'{"refused": "a free-threaded CPython"}\')', "runs a free-threaded CPython, which cannot"),
        ('print(\'{"missing": "co_names"}\')', "co_names was not found"),
        ("raise SystemExit('no module named x')", "says nothing: no module named x"),
        ("print('[]')", "says nothing"),
        ("import os; os._exit(3)", "says nothing: it ended"),
    ],
)
def test_a_twin_that_cannot_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, error: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(source, encoding="utf-8")
    monkeypatch.setattr("exai_ops.sem.twin.SCRIPT", script)
    with running(PYTHONS[0], WAITS) as (child, _):
        process = Process.open(child.pid)
        with pytest.raises((TwinRefused, NotSupported), match=error):
            layout_of(process, cache=tmp_path)


def test_a_twin_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        "exai_ops.sem.selfcheck.differences", lambda *_: ["text: the twin has 'a', the scan 'b'"]
    )
    with running(PYTHONS[0], WAITS) as (child, _):
        process = Process.open(child.pid)
        with pytest.raises(TwinRefused, match="reads wrong: text: the twin has 'a'"):
            layout_of(process, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_another_build_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(PYTHONS[0], WAITS) as (child, _):
        process = Process.open(child.pid)
        layout = layout_of(process)
        moved = {**layout.static_types, "type": layout.static_types["dict"]}
        other = dataclasses.replace(layout, static_types=moved)
        kept = to_text(other, process.build)
        (tmp_path / f"{process.build}.json").write_text(kept, encoding="utf-8")
        assert layout_of(process, cache=tmp_path) == layout
        monkeypatch.setattr("exai_ops.sem.twin.from_twin", lambda _: other)
        with pytest.raises(TwinRefused, match="does not run the build"):
            layout_of(process, cache=tmp_path / "empty")


def _replaced(process: Process, **fields: Any) -> Process:
    return dataclasses.replace(process, **fields)


def _container() -> tuple[str, ...]:
    """The command that puts a program into namespaces of its own, none where this machine allows none."""
    rights = () if os.geteuid() == 0 else ("--map-root-user",)
    words = ("unshare", "--mount", "--pid", "--fork", "--kill-child", *rights)
    allowed = shutil.which("unshare") and subprocess.run([*words, "true"], check=False, capture_output=True)
    return words if allowed and allowed.returncode == 0 else ()


@pytest.mark.parametrize("python", PYTHONS)
def test_a_process_in_namespaces_of_its_own(python: str) -> None:
    within = _container()
    with running(python, HOLDS, within=within) as (child, known):
        pid = psutil.Process(child.pid).children()[0].pid if within else child.pid
        process = Process.open(pid)
        assert process.contained == bool(within)
        assert process.inner_pid == (1 if within else pid)
        with Memory(pid) as memory:
            frames = Frames(Objects(memory, layout_of(process)))
            assert [frame.info.name for frame in frames.chain(known["task"])][:2] == ["hold", "wait"]
