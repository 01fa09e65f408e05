"""Kimi and GLM, played over real HTTP and SSE, with faults on demand.

``running_simulator`` serves it inside the running event loop, ``exai sim`` as a process of its own.
``faults`` holds the grammar of the faults, ``answers`` what is said, ``dialects`` each vendor's shapes,
``traffic`` what was received, ``app`` the ASGI application, ``control`` its endpoints under ``/_sim``.
"""

from __future__ import annotations

from exai_ops.providers.simulator.faults import Fault, FaultError, parse_fault
from exai_ops.providers.simulator.options import SimulatorOptions
from exai_ops.providers.simulator.server import SimulatorServer, running_simulator
from exai_ops.providers.simulator.state import SimulatorState

__all__ = [
    "Fault",
    "FaultError",
    "SimulatorOptions",
    "SimulatorServer",
    "SimulatorState",
    "parse_fault",
    "running_simulator",
]
