"""``exai sim``: Kimi and GLM played on this machine, with faults on demand."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exai_ops.errors import UsageError

if TYPE_CHECKING:
    from exai_ops.providers.simulator import SimulatorOptions

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def sim(  # noqa: PLR0917 - typer makes an option of each parameter
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8090,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Allow a --host that other machines reach.")
    ] = False,
    fault: Annotated[
        str | None,
        typer.Option(
            help='Faults in the grammar of the header X-Exai-Fault: "latency=0.2; status=429; first=2".'
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Give the faults to one provider alone: kimi or glm.")
    ] = None,
    latency: Annotated[float | None, typer.Option(help="Seconds before each answer.")] = None,
    jitter: Annotated[float | None, typer.Option(help="Up to so many random seconds more.")] = None,
    status: Annotated[int | None, typer.Option(help="Answer with this error status, 400 to 599.")] = None,
    retry_after: Annotated[float | None, typer.Option(help="Retry-After of the error, seconds.")] = None,
    code: Annotated[str | None, typer.Option(help="GLM's inner code (1302) or Kimi's error type.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Reset each connection before an answer.")] = False,
    cut: Annotated[int | None, typer.Option(help="Close each stream after so many pieces.")] = None,
    stall: Annotated[float | None, typer.Option(help="Send nothing for so many seconds.")] = None,
    at: Annotated[
        int | None, typer.Option(help="Stall, break or fail after so many pieces; 0: before headers.")
    ] = None,
    malformed: Annotated[
        bool, typer.Option("--malformed", help="Send a data line that is not JSON.")
    ] = False,
    truncate: Annotated[bool, typer.Option("--truncate", help="End unstreamed JSON in its middle.")] = False,
    first: Annotated[int | None, typer.Option(help="Only the first so many requests go wrong.")] = None,
    pace: Annotated[float, typer.Option(min=0, help="Seconds between two pieces of a stream.")] = 0.0,
    chunks: Annotated[
        int | None, typer.Option(min=1, help="Pieces of a stream; by words without it.")
    ] = None,
    size: Annotated[int | None, typer.Option(min=0, help="Characters of an answer.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the jitter.")] = 0,
    key: Annotated[
        list[str] | None, typer.Option(help="The only key that is good, a made-up one; may be repeated.")
    ] = None,
    any_model: Annotated[
        bool, typer.Option("--any-model", help="Answer for models not on the list.")
    ] = False,
    glm_models: Annotated[bool, typer.Option(help="Whether GLM lists its models, or says 404.")] = True,
) -> None:
    """Play Kimi and GLM over HTTP and SSE, with faults on demand, until interrupted.

    Point KIMI_API_URL and GLM_API_URL at the addresses that it prints. A request may ask for its own
    fault in the header X-Exai-Fault; POST /_sim/faults changes them while it runs.
    """
    from exai_ops.providers.simulator import SimulatorOptions
    from exai_ops.settings import Secret

    named = {
        "latency": latency, "jitter": jitter, "status": status, "retry-after": retry_after, "code": code,
        "reset": reset, "cut": cut, "stall": stall, "at": at, "malformed": malformed, "truncate": truncate,
        "first": first,
    }  # fmt: skip
    _check_host(host, allow_remote=allow_remote)
    options = SimulatorOptions(
        **_faults(fault, named, only),
        chunks=chunks,
        size=size,
        pace=pace,
        seed=seed,
        keys=tuple(Secret(value) for value in key or ()),
        any_model=any_model,
        glm_models=glm_models,
    )
    received = _run(options, host, port)
    raise typer.Exit(128 + received)


def _check_host(host: str, *, allow_remote: bool) -> None:
    from exai_ops.settings import is_loopback

    if not is_loopback(host) and not allow_remote:
        raise UsageError(
            f"--host {host} is reachable from other machines",
            hint="name a loopback address, or say --allow-remote",
        )


def _faults(text: str | None, named: dict[str, Any], only: str | None) -> dict[str, Any]:
    """The options' fields for the faults, those given by name going over those in the text."""
    import msgspec

    from exai_ops.providers.simulator.dialects import DIALECTS
    from exai_ops.providers.simulator.faults import fault_of, parse_fault

    given = {name: value for name, value in named.items() if value is not None and value is not False}
    fault = fault_of(msgspec.to_builtins(parse_fault(text or "")) | given)
    if only not in (None, *DIALECTS):
        raise UsageError(f"--only {only} is no provider", hint=f"one of {', '.join(DIALECTS)}")
    asked = [dialect for name, dialect in DIALECTS.items() if only in (None, name)]
    # A code belongs to one vendor: with no --only it is that one's fault alone.
    fitting = [dialect for dialect in asked if dialect.has_code(fault)]
    if not fitting:
        asked[-1].check(fault)
    return {"faults": {dialect.name: fault for dialect in fitting}}


def _run(options: SimulatorOptions, host: str, port: int) -> int:
    """Serve until a signal, and say which."""
    if sys.platform == "win32":
        return asyncio.run(_serve(options, host, port))
    import uvloop

    return uvloop.run(_serve(options, host, port))


async def _serve(options: SimulatorOptions, host: str, port: int) -> int:
    from exai_ops.providers.simulator import running_simulator

    received: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    _on_signal(received)
    try:
        async with running_simulator(options, host=host, port=port) as server:
            print(
                f"simulator on {server.base_url}: "
                f"export KIMI_API_URL={server.kimi_url} GLM_API_URL={server.glm_url}",
                flush=True,
            )
            return await received
    except OSError as error:
        raise _unusable(error, host, port) from error


def _on_signal(received: asyncio.Future[int]) -> None:
    def note(number: int) -> None:
        if not received.done():
            received.set_result(number)

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, note, int(number))
        except NotImplementedError:  # Windows: Ctrl-C ends asyncio.run by itself
            return


def _unusable(error: OSError, host: str, port: int) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"port {port} on {host} is in use", hint="name another --port, or 0 for a free one")
    return UsageError(
        f"cannot listen on {host} port {port}: {error.strerror or error}", hint="see --host, --port"
    )
