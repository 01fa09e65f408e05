"""One line of Python run by a process's main thread, where it is safe to.

The thread is held for about a millisecond, is given a small piece of machine code in memory of its own, and
goes on with that: it keeps all registers, makes the call, puts them back and goes on where it stood, whether
we still are there or not. Which call depends on where the thread stands:

- in a system call that waits, without the interpreter's lock: it takes the lock by ``PyGILState_Ensure`` as
  any thread may, and runs the line at once;
- anywhere else, even within the allocator: ``Py_AddPendingCall``, which may be called from a signal handler
  and runs the line between two instructions of bytecode.

Running Python wherever a thread happens to be, which injectors of libraries do, ends busy processes.
"""

from __future__ import annotations

import os
import platform
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exai_ops.errors import CouldNotLook
from exai_ops.sem.executable import NotSupported, ProcessGone, name_of
from exai_ops.sem.inject.elf import functions
from exai_ops.sem.inject.ptrace import Held
from exai_ops.sem.maps import Mapping, base_of, read_maps
from exai_ops.sem.process import Process

# Keeps flags, general registers and, by xsave, those of floating point; calls; restores; jumps to what the
# data page, 4096 bytes on, begins with. In that page: 8 result, 16 whether it waits, 24 on the functions,
# 80 done, 1024 the xsave area; on the page after it the line. call.s beside this file is its source.
_CODE: Final = bytes.fromhex(
    "488d6424809c50535152565755415041514152415341544155415641574889e5488d1dd90f00004883e4c0"
    "b8e700000031d2480faea300040000fc48837b1000742eff53184885c07426ff532085c0751fff53284189"
    "c4488dbb00100000ff53304489e7ff5338c7430801000000eb16488b7b30488db300100000ff5340f7d88d"
    "4002894308b8e700000031d2480faeab000400004889ec415f415e415d415c415b415a415941585d5f5e5a"
    "595b589d488da42480000000c7058e0f000001000000ff25380f0000"
)
_FUNCTIONS: Final = (
    b"PyGILState_GetThisThreadState", b"PyGILState_Check", b"PyGILState_Ensure", b"PyRun_SimpleString",
    b"PyGILState_Release", b"Py_AddPendingCall",
)  # fmt: skip
_PAGE: Final = 4096
_RESULT, _DONE = _PAGE + 8, _PAGE + 80
_SIZE: Final = 3 * _PAGE
_MMAP, _MPROTECT, _MUNMAP = 9, 10, 11
_READ_WRITE, _READ_EXECUTE = 3, 5
_PRIVATE_ANONYMOUS: Final = 0x22
_WAITS: Final = frozenset({
    0, 7, 23, 34, 35, 43, 45, 47, 61, 128, 202, 230, 232, 247, 270, 271, 281, 288, 441,
})  # fmt: skip
"""read poll select pause nanosleep accept recvfrom recvmsg wait4 rt_sigtimedwait futex clock_nanosleep
epoll_wait waitid pselect6 ppoll epoll_pwait accept4 epoll_pwait2"""
_EINTR: Final = 4
_START_AGAIN: Final = frozenset({-512, -513, -514})
_RESTART_BLOCK: Final = -516
_AT_ONCE, _PENDING = 1, 2


@dataclass(slots=True)
class Call:
    """A line that a process was given.

    Attributes:
        held_s: For how long its main thread was held.
        at_once: Whether the thread ran it where it was; else between two instructions of bytecode.
    """

    process: Process
    region: int
    instruction: int
    held_s: float = 0.0
    at_once: bool = False

    def take_back(self) -> bool:
        """Give back the memory, after the line has run. False when the thread is still in it."""
        if not self._word(_DONE):
            return False
        begun = time.perf_counter()
        with Held(self.process.pid, self.process.pid) as held:
            if not self.region <= held.registers["rip"] < self.region + _SIZE:
                held.call_kernel(self.instruction, _MUNMAP, self.region, _SIZE)
                self.held_s = max(self.held_s, time.perf_counter() - begun)
                return True
        return False

    def wait(self, until: float, is_gone: Callable[[], None]) -> int:
        """Its ``result``, when that comes in time."""
        while not self._word(_DONE) and time.monotonic() < until:
            is_gone()
            time.sleep(0.001)
        return self.result

    @property
    def result(self) -> int:
        """1 it ran, 2 it will, 3 no room for it, 0 for not yet known."""
        return self._word(_RESULT) if self._word(_DONE) else 0

    def _word(self, offset: int) -> int:
        return int.from_bytes(_peek(self.process.pid, self.region + offset, 4), "little")


def give(process: Process, line: str) -> Call:
    """Have the main thread of a process run a line of Python, soon.

    Raises:
        CouldNotLook: It cannot be held, or what the call takes is not there. The process is as it was.
    """
    if platform.machine() != "x86_64":
        raise NotSupported(f"--inject is for x86-64, this machine is {platform.machine()}")
    text = line.encode() + b"\0"
    if len(text) > _PAGE:
        raise ValueError("the line is too long")
    maps = read_maps(process.pid)
    addresses = _addresses(process, maps)
    instruction = _syscall_instruction(process.pid, maps)
    begun = time.perf_counter()
    with Held(process.pid, process.pid) as held:
        region = _region(held, instruction)
        waits = held.in_syscall in _WAITS and _signed_rax(held) < 0
        held.poke(region, _CODE)
        held.write(region + 2 * _PAGE, text)
        _go_on(held)
        data = struct.pack("<QQQ6Q", held.registers["rip"], 0, waits, *addresses)
        held.write(region + _PAGE, data)
        held.registers |= {"rip": region, "orig_rax": (1 << 64) - 1}
    return Call(process, region, instruction, time.perf_counter() - begun, waits)


def left_by_others(process: Process) -> Iterator[tuple[Call, str, bool]]:
    """(call, its line, whether it has run for sure) of each call whose memory is still there."""
    maps = read_maps(process.pid)
    for one in maps:
        if one.file or one.size != _PAGE or one.rights != "r-xp":
            continue
        if _peek(process.pid, one.start, len(_CODE)) != _CODE:
            continue
        call = Call(process, one.start, _syscall_instruction(process.pid, maps))
        line = _peek(process.pid, one.start + 2 * _PAGE, _PAGE).partition(b"\0")[0]
        yield call, line.decode("utf-8", "replace"), call.result == _AT_ONCE


def _go_on(held: Held) -> None:
    """Have a system call that was cut short start again, or say EINTR where it must."""
    if held.in_syscall < 0:
        return
    came = _signed_rax(held)
    if came in _START_AGAIN:
        held.registers |= {"rax": held.in_syscall, "rip": held.registers["rip"] - 2}
    elif (
        came == _RESTART_BLOCK
    ):  # its remaining time is the kernel's secret, which the call's own waits overwrite
        held.registers["rax"] = (1 << 64) - _EINTR


def _signed_rax(held: Held) -> int:
    value = held.registers["rax"]
    return value - (1 << 64) if value >> 63 else value


def _region(held: Held, instruction: int) -> int:
    """Memory of its own: a page of code, two of data."""
    at = held.call_kernel(instruction, _MMAP, 0, _SIZE, _READ_EXECUTE, _PRIVATE_ANONYMOUS, (1 << 64) - 1, 0)
    if -4096 < at < 0:
        raise CouldNotLook(
            f"the process may not map memory for code: {os.strerror(-at)}",
            hint="a policy forbids it (SELinux, seccomp): look without --inject",
        )
    held.call_kernel(instruction, _MPROTECT, at + _PAGE, 2 * _PAGE, _READ_WRITE)
    return at


def _addresses(process: Process, maps: list[Mapping]) -> list[int]:
    base = base_of(maps, name_of(process.image_name))
    try:
        with open(process.image, "rb") as file:  # noqa: PTH123 - a link of /proc, which a Path would resolve
            found, relative = functions(file, _FUNCTIONS)
    except (OSError, ValueError) as error:
        raise NotSupported(f"the interpreter of process {process.pid} cannot be read: {error}") from None
    missing = [name.decode() for name in _FUNCTIONS if name not in found]
    if missing or base is None:
        raise NotSupported(f"the interpreter of process {process.pid} does not export {', '.join(missing)}")
    return [found[name] + (base if relative else 0) for name in _FUNCTIONS]


def _syscall_instruction(pid: int, maps: list[Mapping]) -> int:
    for one in maps:
        if one.file == "[vdso]":
            at = _peek(pid, one.start, one.size).find(b"\x0f\x05")
            if at >= 0:
                return one.start + at
    raise NotSupported(f"process {pid} has no vdso, which --inject needs")


def _peek(pid: int, address: int, size: int) -> bytes:
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
            file.seek(address)
            return file.read(size)
    except OSError:
        raise ProcessGone(f"process {pid} ended while it was looked at") from None
