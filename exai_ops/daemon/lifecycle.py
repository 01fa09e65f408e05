"""The daemon's life: bind, open, serve, drain, close; signals and the exit status.

The first SIGTERM or SIGINT drains: no new connection or call is taken, accepted calls may finish for
EXAI_DRAIN_SECS, what is left is cut and said. A second signal ends within a second. In the end the
signal is raised again with its default action, so that the exit status is true.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

import exai_ops
from exai_ops.daemon import gauges, housekeeping, runstate
from exai_ops.daemon.call import Call
from exai_ops.daemon.core import Daemon
from exai_ops.daemon.event_keeper import EventKeeper
from exai_ops.daemon.guard import App
from exai_ops.daemon.http import application
from exai_ops.daemon.retries import log_retries
from exai_ops.daemon.server import server
from exai_ops.daemon.signals import FORCED_S, Signals, end_within
from exai_ops.errors import UsageError
from exai_ops.logs import get_logger
from exai_ops.monitor import sampling
from exai_ops.monitor.kept import KeptEvents
from exai_ops.monitor.recorder import Monitor
from exai_ops.providers.router import Providers
from exai_ops.providers.simulator import SimulatorOptions, running_simulator
from exai_ops.settings import Settings
from exai_ops.storage.sqlite import SQLiteStorage
from exai_ops.tools.registry import Registry, load_tools

_LOG: Final = get_logger("exai.daemon")
CUT_S: Final = 2.0
"""How long cut calls may take to end."""

_PRIVATE: Final = SimulatorOptions(control=False, remember=0)
"""The simulator inside the daemon keeps no prompts and has no control endpoint."""

SPARE_FILES: Final = 256
"""Open files beside the clients' and the providers' connections."""

MCP = Callable[[Daemon], App]


class End(NamedTuple):
    """How the daemon came to its end.

    Attributes:
        signal: Number of the signal that it drained for, None when there was none.
        whole: Whether every accepted call could finish.
    """

    signal: int | None
    whole: bool


async def serve(settings: Settings, *, simulate: bool, mcp: MCP) -> End:
    """Serve until a signal. Raises UsageError, StorageError before anything is served."""
    began = time.perf_counter()
    whole = False
    _open_files(settings)
    log_retries()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # a line a connection says nothing new
    listening = bind(settings)
    port = listening.getsockname()[1]
    with Signals(asyncio.get_running_loop()) as signals, contextlib.closing(listening):
        async with _daemon(settings, simulate=simulate) as daemon:
            await _recover(daemon)  # before anybody asks: a call of an earlier life must not be run again
            web = server(application(daemon, mcp(daemon)), settings)
            async with asyncio.TaskGroup() as tasks:
                daemon.dispatcher.start(tasks)
                chores = [
                    tasks.create_task(chore(daemon))
                    for chore in (
                        housekeeping.report_progress,
                        housekeeping.watch_permits,
                        housekeeping.prune,
                    )
                ]
                chores += [tasks.create_task(daemon.lag.run()), tasks.create_task(daemon.alerting.run())]
                serving = tasks.create_task(web.serve(sockets=[listening]))
                await web.listening.wait()
                runstate.write(settings, runstate.own_state(settings, port, simulated=daemon.simulated))
                _spare_the_collector()
                daemon.state = "ready"
                _announce(daemon, port, time.perf_counter() - began)
                try:
                    await signals.drain.wait()
                    whole = await drain(daemon, signals)
                finally:
                    await close_all(daemon)
                    web.should_exit = True
                    web.force_exit = signals.force.is_set()
                    await serving
                    for chore in chores:
                        chore.cancel()
                    runstate.remove(settings, port)
    return End(signals.received, whole)


def bind(settings: Settings) -> socket.socket:
    """A listening socket, or a UsageError that says who holds the port."""
    host, port = settings.ws_host.strip("[]"), settings.ws_port
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise UsageError(
            f"EXAI_WS_HOST: {host}: {error.strerror or error}", hint="name an address of this machine"
        ) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint=f"port {port} is {runstate.port_holder(settings, port)}",
        ) from error
    return listening


def _open_files(settings: Settings) -> None:
    """As many open files as the connections need, if the hard limit allows; a warning if it does not."""
    needed = 2 * settings.max_connections + settings.monitor_max_tails + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < needed:
            _LOG.warning("few open files allowed", allowed=soft, needed=needed, mend="raise ulimit -n")


@contextlib.asynccontextmanager
async def _daemon(settings: Settings, *, simulate: bool) -> AsyncIterator[Daemon]:
    """The daemon's parts, opened in order and closed in the opposite one."""
    simulated = simulate or not (settings.kimi_api_key or settings.glm_api_key)
    monitor = monitor_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        if settings.otel_endpoint:
            stack.push_async_callback(_exporting_spans(settings, monitor))
        kept = kept_events(settings)
        keeper = None if kept is None else EventKeeper(monitor, kept)
        if keeper is not None:
            stack.push_async_callback(_keeping(keeper))
        storage = SQLiteStorage(settings.database, record=monitor.record)
        stack.push_async_callback(storage.close)
        await storage.open()
        base_url = None
        if simulated:
            base_url = (await stack.enter_async_context(running_simulator(_PRIVATE))).base_url
        providers = await stack.enter_async_context(
            Providers(settings, record=monitor.record, simulated_base_url=base_url)
        )
        daemon = Daemon(
            settings,
            storage=storage,
            providers=providers,
            registry=_registry(),
            monitor=monitor,
            simulated=simulated,
        )
        daemon.kept, daemon.keeper = kept, keeper
        gauges.register(daemon)
        yield daemon


def monitor_of(settings: Settings) -> Monitor:
    """An empty monitor as the settings want it. Raises UsageError for rules that are none."""
    try:
        rules = sampling.parse(settings.event_sampling)
    except ValueError as error:
        raise UsageError(f"EXAI_EVENT_SAMPLING: {error}") from None
    return Monitor(settings.event_buffer, sampling=sampling.Sampling(rules))


def kept_events(settings: Settings) -> KeptEvents | None:
    """The events on disk as the settings want them, None where they want none."""
    if not settings.event_store_max_bytes:
        return None
    return KeptEvents(
        settings.event_folder,
        max_bytes=settings.event_store_max_bytes,
        max_age_s=settings.event_store_max_age_s,
    )


def _keeping(keeper: EventKeeper) -> Callable[[], Awaitable[None]]:
    """Start to keep events; what is called in the end."""
    keeper.start()

    async def stop() -> None:
        if not await asyncio.to_thread(keeper.stop):
            _LOG.warning("the last events were not kept", why="the disk takes too long")

    return stop


def _exporting_spans(settings: Settings, monitor: Monitor) -> Callable[[], Awaitable[None]]:
    """Start it; what is called in the end."""
    from exai_ops.monitor.otel import OtelExport  # half a second and an extra

    export = OtelExport(monitor, settings.otel_endpoint, version=exai_ops.__version__)
    export.start()

    async def stop() -> None:
        whole = await asyncio.to_thread(export.stop, CUT_S)
        if not whole or export.failed or export.missed:
            _LOG.warning(
                "spans not exported",
                failed=export.failed,
                missed=export.missed,
                whole=whole,
                sent=export.exported,
            )

    return stop


def _registry() -> Registry:
    registry = load_tools()
    for problem in registry.problems:
        _LOG.warning("tool left out", tool=str(problem))
    return registry


async def _recover(daemon: Daemon) -> None:
    """What an earlier life left running is interrupted, and said."""
    interrupted = await daemon.storage.interrupt_running(time.time())
    if interrupted:
        _LOG.warning("calls interrupted by the end of an earlier daemon", calls=len(interrupted))


def _spare_the_collector() -> None:
    """Leave what start-up made out of garbage collection, and collect less often.

    Measured at 256 sessions: a sixth of the CPU of a call went into collections that found nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _announce(daemon: Daemon, port: int, seconds: float) -> None:
    host = daemon.settings.ws_host
    _LOG.info("ready", url=f"ws://{f'[{host}]' if ':' in host else host}:{port}/", start_s=round(seconds, 3))
    if daemon.simulated:
        keys = daemon.settings.kimi_api_key or daemon.settings.glm_api_key
        why = "asked for by --simulate" if keys else "no KIMI_API_KEY or GLM_API_KEY is set"
        _LOG.warning("the simulator answers, not a model", why=why)


async def drain(daemon: Daemon, signals: Signals) -> bool:
    """Finish what was accepted, for a while; cut the rest and say so. Whether nothing was cut."""
    daemon.state = "draining"
    daemon.dispatcher.draining = True
    accepted = daemon.dispatcher.running
    _LOG.info("draining", calls=len(accepted), at_most_s=daemon.settings.drain_s)
    idle = asyncio.ensure_future(daemon.dispatcher.idle())
    forced = asyncio.ensure_future(signals.force.wait())
    cut: list[Call] = []
    try:
        await asyncio.wait(
            {idle, forced}, timeout=daemon.settings.drain_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not idle.done():
            cut = daemon.dispatcher.cut("the daemon stopped before it was done")
            await asyncio.wait({idle}, timeout=FORCED_S / 2 if forced.done() else CUT_S)
            for call in cut:
                _LOG.warning("cut", tool=call.tool, session=call.session_id, request=call.request_id)
    finally:
        idle.cancel()
        forced.cancel()
    left = daemon.dispatcher.running
    finished = {*accepted} - {*cut, *left}
    _LOG.info("drained", finished=len(finished), cut=len(cut), left=len(left))
    if left:
        _LOG.error("tools that do not end when told", tools=sorted({call.tool for call in left}))
        end_within(CUT_S, signals.received or signal.SIGTERM)
    return not cut and not left


async def close_all(daemon: Daemon) -> None:
    """Let each who asked for it close its part, while there is time."""
    for close in daemon.closers:
        try:
            async with asyncio.timeout(CUT_S):
                await close()
        except TimeoutError:
            _LOG.warning("not closed in time", what=getattr(close, "__qualname__", "?"))
