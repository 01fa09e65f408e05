"""Keys from bytes, and a terminal that is put back on every way out."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.commands.keys import Keys

from .terminal import Terminal

PROGRAM = """
import sys
from exai_ops.commands.screen import Screen
with Screen() as screen:
    screen.write("size %d %d\\r\\n" % screen.size())
    while True:
        for key in screen.wait(60):
            screen.write(f"<{key}>")
            if key == "q":
                sys.exit(7)
            if key == "x":
                raise RuntimeError("planned")
        screen.write("size %d %d\\r\\n" % screen.size())
"""


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"", []),
        (b"q", ["q"]),
        (b"ppsq", ["p", "p", "s", "q"]),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
        (b"\x1bOA\x1bOH\x1bOF", ["up", "home", "end"]),
        (b"\x1b[1;5A\x1b[5~\x1b[6~\x1b[6;2~", ["up", "pgup", "pgdn", "pgdn"]),
        (b"\x1b[1~\x1b[4~\x1b[7~\x1b[8~", ["home", "end", "home", "end"]),
        (b"\x1b[3~\x1b[H\x1b[F", ["delete", "home", "end"]),
        (b"\x1b[15~\x1b[[A\x1bOP\x1b[?1;2cq", ["q"]),
        (b"\x1bq", ["esc", "q"]),
        (b"\x1b\x1b[A", ["esc", "up"]),
        (b"\r\n\x7f\b\t ", ["enter", "enter", "backspace", "backspace", "tab", " "]),
        ("é漢🙂".encode(), ["é", "漢", "🙂"]),
        (b"a\xff\xc3(\x80q", ["a", "(", "q"]),
        (b"\x0c", ["\x0c"]),
    ],
)  # fmt: skip
def test_keys(data: bytes, keys: list[str]) -> None:
    typed = Keys()
    assert typed.feed(data) == keys
    assert not typed.pending
    assert typed.flush() == []


@pytest.mark.parametrize(
    ("data", "keys"),
    [(b"\x1b", ["esc"]), (b"\x1b[", []), (b"\x1b[1;", []), (b"\x1bO", []), (b"\xe6\xbc", [])],
)
def test_a_key_that_does_not_go_on(data: bytes, keys: list[str]) -> None:
    typed = Keys()
    assert typed.feed(data) == []
    assert typed.pending
    assert typed.flush() == keys
    assert typed.feed(b"q") == ["q"]


def test_a_sequence_without_an_end_is_none() -> None:
    typed = Keys()
    typed.feed(b"\x1b[" + b"1" * 1000)
    assert typed.feed(b"") == []
    assert not typed.pending


PIECES = st.lists(
    st.sampled_from([b"q", b"p", b"\x1b[A", b"\x1bOB", b"\x1b[5~", b"\x1b[1;5C", "漢".encode(), b"\x1b[15~"])
)  # fmt: skip


@given(PIECES, st.integers(1, 5))
def test_keys_are_the_same_however_they_arrive(pieces: list[bytes], size: int) -> None:
    data = b"".join(pieces)
    typed = Keys()
    split = [key for at in range(0, len(data), size) for key in typed.feed(data[at : at + size])]
    assert split == Keys().feed(data)


@given(st.binary(max_size=200))
def test_any_bytes_end(data: bytes) -> None:
    typed = Keys()
    typed.feed(data)
    typed.flush()
    assert typed.feed(b"q") == ["q"]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    one = Terminal("-c", PROGRAM)
    one.until("size")
    yield one
    one.close()


def test_keys_typed_together_all_count(terminal: Terminal) -> None:
    terminal.press(b"ab\x1b[A\x1bcq")
    assert terminal.code() == 7
    assert "<a><b><up><esc><c><q>" in terminal.seen


def test_escape_alone(terminal: Terminal) -> None:
    terminal.press(b"\x1b")
    terminal.until("<esc>")
    terminal.press(b"q")
    assert terminal.code() == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(terminal: Terminal, number: int) -> None:
    terminal.send_signal(number)
    assert terminal.code() == -number


def test_ctrl_c_and_an_exception_leave_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.press(b"\x03")
    assert terminal.code() == -signal.SIGINT
    other = Terminal("-c", PROGRAM)
    other.until("size")
    other.press(b"x")
    assert other.code() == 1
    other.until("planned")
    other.close()


def test_a_new_size_is_seen_at_once(terminal: Terminal) -> None:
    terminal.resize(101, 33)
    terminal.until("size 101 33")
    terminal.press(b"q")
    assert terminal.code() == 7


def test_ctrl_z_gives_the_terminal_back_and_takes_it_again(terminal: Terminal) -> None:
    terminal.send_signal(signal.SIGTSTP)  # nobody would let it go on, so the kernel does not stop it
    terminal.until("\x1b[?1049l\x1b[?1049h")
    terminal.press(b"q")
    assert terminal.code() == 7


def test_a_terminal_that_is_gone_ends_it() -> None:
    one = Terminal("-c", PROGRAM)
    one.until("size")
    one.close()
    assert os.waitstatus_to_exitcode(os.waitpid(one.pid, 0)[1]) == -signal.SIGHUP
