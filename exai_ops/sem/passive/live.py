"""Everything in a process that is not over: calls that are suspended or run, with what to call them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exai_ops.sem.frames import Frame, Frames, TaskInfo
from exai_ops.sem.model import Site
from exai_ops.sem.objects import Objects

_MOST_FRAMES = 200_000


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is not over.

    Attributes:
        name: Of its task or thread; of the coroutine itself when nothing known drives it.
        chain: All frames from the outermost to the innermost.
        index: Which of them it is.
        driven: Whether a pending task or a thread will go on with it.
        task: Address of its task, 0 for none.
    """

    frame: Frame
    name: str
    chain: tuple[Frame, ...]
    index: int
    driven: bool
    task: int = 0

    @property
    def inner(self) -> Frame | None:
        """The frame that it waits for."""
        return self.chain[self.index + 1] if self.index + 1 < len(self.chain) else None

    def stack(self) -> tuple[Site, ...]:
        """Where each frame is."""
        return sites(self.chain)


def sites(frames: Iterable[Frame]) -> tuple[Site, ...]:
    """Where frames are."""
    return tuple(Site(frame.info.filename, frame.line, frame.info.qualname) for frame in frames)


class Live:
    """The calls of a process, read from given tasks and coroutines.

    Attributes:
        calls: Each once.
        tasks: Pending tasks by address.
        task_of: Address of the future that a task waits for -> the task's address.
        threads: Number of threads that run Python.
    """

    def __init__(self, objects: Objects, frames: Frames) -> None:
        self._objects = objects
        self._frames = frames
        self.calls: list[Call] = []
        self.tasks: dict[int, TaskInfo] = {}
        self.task_of: dict[int, int] = {}
        self.chains: dict[int, tuple[Frame, ...]] = {}
        self.threads = 0
        self._seen: set[int] = set()

    def read(self, tasks: Iterable[int], coroutines: Iterable[int]) -> None:
        """Read them all: tasks with their chains, threads, and coroutines that neither drives."""
        for address in tasks:
            self._task(address)
        self._threads()
        rest = {address for address in coroutines if address not in self._seen}
        for address in sorted(rest):
            self._alone(address)

    def stack_of(self, task: int) -> tuple[Site, ...]:
        """Where a pending task is."""
        return sites(self.chains.get(task, ()))

    def _task(self, address: int) -> None:
        info = self._frames.task(address)
        if info is None or info.state != "pending":
            return
        self.tasks[address] = info
        if info.waits_for:
            self.task_of[info.waits_for] = address
        chain = tuple(self._frames.chain(address))
        self.chains[address] = chain
        self._add(info.name, chain, driven=True, task=address)

    def _threads(self) -> None:
        found = self._frames.threads()
        self.threads = len(found)
        for thread in found:
            chain = tuple(reversed(thread.frames))
            self._add(f"thread {thread.native or thread.ident}", chain, driven=True)

    def _alone(self, address: int) -> None:
        if address in self._seen:
            return
        chain = tuple(self._frames.chain(address))
        if chain:
            self._add(f"{self._objects.kind(address)} {chain[0].info.qualname}", chain, driven=False)

    def _add(self, name: str, chain: tuple[Frame, ...], *, driven: bool, task: int = 0) -> None:
        for index, frame in enumerate(chain):
            key = frame.owner or id(frame)
            if key in self._seen or len(self.calls) >= _MOST_FRAMES:
                continue
            self._seen.add(key)
            self.calls.append(Call(frame, name, chain, index, driven, task))
