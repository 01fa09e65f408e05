"""One thread of another process, held for a moment: its registers, its memory, a system call in its name.

By PTRACE_SEIZE and PTRACE_INTERRUPT (ptrace(2)), which no parent and no signal handler sees, and which end by
themselves when this process ends. All of it is asked by the thread that began it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import struct
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Self

from exai_ops.errors import CouldNotLook

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_GETREGS, _SETREGS, _STEP, _CONT, _POKE = 12, 13, 9, 7, 5
_EVENT_STOP: Final = 128
_WALL: Final = 0x40000000
_REGISTERS: Final = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
    "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip
_HOLD_S: Final = 2.0


class NotHeld(CouldNotLook):
    """The thread could not be held, or not long enough; it is as it was."""


class Held:
    """A thread that stands still from ``with`` to its end, and then goes on as its registers say.

    Args:
        pid: Its process.
        tid: The thread.
    """

    def __init__(self, pid: int, tid: int) -> None:
        self._pid = pid
        self._tid = tid
        self._signals: list[int] = []
        self.registers: dict[str, int] = {}
        self._original: dict[str, int] = {}
        self._rank = (os.sched_getscheduler(0), os.sched_getparam(0))

    def __enter__(self) -> Self:
        _ptrace(_SEIZE, self._tid)
        try:
            _rank(os.SCHED_FIFO, os.sched_param(1))  # while it waits for us, we wait for nobody
            _ptrace(_INTERRUPT, self._tid)
            self._wait_for_stop()
            self._original = self._read()
            self.registers = dict(self._original)
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Go on: as the registers now say, or as they were when something failed."""
        try:
            self._write(self._original if kind is not None else self.registers)
        finally:
            self._let_go()

    @property
    def in_syscall(self) -> int:
        """Number of the system call that it was in, -1 for none."""
        return _signed(self._original["orig_rax"])

    def call_kernel(self, instruction: int, number: int, *args: int) -> int:
        """What a system call gives that the thread makes now. ``instruction`` is where a ``syscall`` is."""
        registers = {**self._original, "rip": instruction, "rax": number, "orig_rax": (1 << 64) - 1}
        registers |= dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), args, strict=False))
        self._write(registers)
        until = time.monotonic() + _HOLD_S
        while True:
            _ptrace(_STEP, self._tid)
            stopped, event = self._stopped(until)
            now = self._read()
            if now["rip"] == instruction + 2:
                self._note(stopped, event)
                break
            self._note(stopped, event)
            self._write(registers)
        self._write(self._original)
        return _signed(now["rax"])

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into its memory where it may write itself, by one call."""
        try:
            with open(f"/proc/{self._pid}/mem", "r+b", buffering=0) as file:  # noqa: PTH123
                file.seek(address)
                file.write(data)
        except OSError as error:
            raise NotHeld(f"the memory of process {self._pid} cannot be written: {error.strerror}") from None

    def poke(self, address: int, data: bytes) -> None:
        """Put bytes into its memory, where nobody may write too; the last word is filled with zeros."""
        padded = data + bytes(-len(data) % 8)
        for offset in range(0, len(padded), 8):
            _ptrace(_POKE, self._tid, address + offset, struct.unpack_from("<Q", padded, offset)[0])

    def _wait_for_stop(self) -> None:
        until = time.monotonic() + _HOLD_S
        while True:
            stopped, event = self._stopped(until)
            if event == _EVENT_STOP:
                return
            _ptrace(_CONT, self._tid, 0, stopped)

    def _stopped(self, until: float) -> tuple[int, int]:
        """(signal, event) of the next stop."""
        pause = 0.00002
        while True:
            try:
                pid, status = os.waitpid(self._tid, _WALL | os.WNOHANG)
            except ChildProcessError:
                raise NotHeld(f"process {self._pid} ended while it was held") from None
            if pid and os.WIFSTOPPED(status):
                return os.WSTOPSIG(status), status >> 16
            if pid:
                raise NotHeld(f"process {self._pid} ended while it was held")
            if time.monotonic() > until:
                raise NotHeld(
                    f"thread {self._tid} of process {self._pid} does not stop: it waits within the kernel",
                    hint="see its state by `cat /proc/PID/wchan`, and look without --inject",
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.001)

    def _note(self, stopped: int, event: int) -> None:
        """Keep a signal that came in between, for the end."""
        if not event and stopped != signal.SIGTRAP:
            self._signals.append(stopped)

    def _read(self) -> dict[str, int]:
        buffer = ctypes.create_string_buffer(8 * len(_REGISTERS))
        _ptrace(_GETREGS, self._tid, 0, ctypes.addressof(buffer))
        return dict(zip(_REGISTERS, struct.unpack(f"<{len(_REGISTERS)}Q", buffer.raw), strict=True))

    def _write(self, registers: dict[str, int]) -> None:
        data = struct.pack(f"<{len(_REGISTERS)}Q", *(registers[name] for name in _REGISTERS))
        buffer = ctypes.create_string_buffer(data, len(data))
        _ptrace(_SETREGS, self._tid, 0, ctypes.addressof(buffer))

    def _let_go(self) -> None:
        first, *others = self._signals or [0]
        try:
            _ptrace(_DETACH, self._tid, 0, first)
        except NotHeld:
            return  # it ended, or was never stopped: nothing to let go
        finally:
            _rank(*self._rank)
        for number in others:
            os.kill(self._pid, number)


def _rank(policy: int, param: os.sched_param) -> None:
    """How this thread is scheduled from now on, where that is allowed."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, policy, param)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


@lru_cache(1)
def _load() -> Callable[..., int]:
    function: Any = ctypes.CDLL(None, use_errno=True).ptrace
    function.restype = ctypes.c_long
    function.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return function  # type: ignore[no-any-return]


def _ptrace(request: int, tid: int, address: int = 0, data: int = 0) -> None:
    if _load()(request, tid, address, data) == -1:
        number = ctypes.get_errno()
        if number == errno.EPERM:
            raise NotHeld(
                f"no right to stop thread {tid}: another debugger or tracer has it, or ptrace is forbidden",
                hint="end the other tracer, run with sudo, or see kernel.yama.ptrace_scope",
            )
        raise NotHeld(f"thread {tid} cannot be held: {os.strerror(number)}")
