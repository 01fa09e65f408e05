"""LiteLLM's proxy, to compare with: an environment of its own, one worker, no database."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.load import MODEL
from benchmarks.processes import READY_S, ROOT, Child, NotMeasured, spawn, unhurried

VERSION: Final = "1.106.0"
INSTALL_S: Final = 300.0
_VENV: Final = ROOT / ".venv-bench" / f"litellm-{VERSION}"
_STAMP: Final = _VENV / "installed"
_ENVIRONMENT: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_TELEMETRY": "False",
    "NO_DOCS": "True",
    # Without a key, as the daemon beside it is without a token: on loopback, and the cheaper way for it.
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    # What else it would ask over https is refused at once.
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}


def install(say: Callable[[str], None] = lambda _: None) -> None:
    """Make the environment if it is not there yet. Raises NotMeasured with pip's last line."""
    if _STAMP.exists():
        return
    say(f"once: an environment for LiteLLM proxy {VERSION}, at most {INSTALL_S:.0f} s")
    shutil.rmtree(_VENV, ignore_errors=True)
    pip = [str(_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", f"litellm[proxy]=={VERSION}"]
    try:
        for command in ([sys.executable, "-m", "venv", str(_VENV)], pip):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()
        raise NotMeasured(f"litellm {VERSION} cannot be installed: {said[-1] if said else error}") from error
    _STAMP.write_text(f"{VERSION}\n")


@contextlib.contextmanager
def litellm(upstream: str, *, folder: Path, core: frozenset[int] | None) -> Iterator[Child]:
    """The running proxy; its address is the base of the OpenAI-style endpoint."""
    install()
    port = _free_port()
    config = folder / "litellm.json"  # JSON is YAML
    config.write_text(json.dumps(_config(upstream)))
    args = [str(_VENV / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    args += ["--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    child = spawn(args, "^(?!)", folder=folder, core=core, env=_ENVIRONMENT)
    try:
        _wait_alive(child, f"http://127.0.0.1:{port}/health/liveliness")
        child.address = f"http://127.0.0.1:{port}/v1"
        yield child
    finally:
        with unhurried():
            child.stop()


def _wait_alive(child: Child, url: str) -> None:
    """Wait for an answer: it logs no line once it listens."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and child.process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.1)
    raise NotMeasured(f"litellm {VERSION} did not get ready: {' | '.join(list(child.lines)[-3:])}")


def _config(upstream: str) -> dict[str, object]:
    """One model, at the simulator; nothing is logged, kept or retried."""
    model = {"model": f"openai/{MODEL}", "api_base": upstream, "api_key": "sk-bench"}
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": model}],
        "litellm_settings": {"set_verbose": False, "telemetry": False, "num_retries": 0},
        "general_settings": {"disable_spend_logs": True},
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
