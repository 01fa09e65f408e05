"""``exai mcp``: MCP over stdio for editors, answered by the running daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exai_ops.settings import environment, load


def mcp(
    url: Annotated[str | None, typer.Option(help="Address of the daemon: ws://HOST:PORT/.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the daemon (EXAI_WS_PORT).")] = None,
    env_file: Annotated[
        Path | None, typer.Option(help="Dotenv file beneath the environment; .env if it exists.")
    ] = None,
) -> int:
    """Bridge MCP over stdio to the running daemon, until stdin closes.

    An editor starts this. Logs go to stderr. Without a daemon it says so and keeps trying. The token
    comes from EXAI_WS_TOKEN.
    """
    settings = load(environment(env_file), overrides={} if port is None else {"ws_port": port})
    import asyncio

    from exai_ops import logs
    from exai_ops.client import Target

    target = Target.of(settings, url)
    logs.configure(settings.but(log_file=""))  # the file is the daemon's, which rotates it
    from exai_ops.client.bridge import serve

    asyncio.run(serve(target, result_ttl_s=settings.result_ttl_s))
    logs.close()
    return 0
