"""How a simulator is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exai_ops.providers.simulator.faults import NO_FAULT, Fault
from exai_ops.settings import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """What a simulator starts with.

    Attributes:
        fault: For every request of both providers, unless ``faults``, the control endpoint or the
            request's own header says otherwise (each replaces the one before it, whole).
        faults: By provider, ``kimi`` or ``glm``.
        chunks: Text pieces of a stream; None makes each word a piece. A fault may say otherwise.
        size: Characters of an answer, filled up or cut; None leaves what is to be said.
        pace: Seconds between two pieces.
        seed: Of the jitter.
        keys: The keys that are good; empty takes any that is not empty.
        any_model: Answer for a model that the vendor does not have.
        glm_models: Whether GLM lists its models; otherwise its GET /models is a 404.
        balance: What Kimi says is left, in its currency.
        remember: How many requests are kept for ``/_sim/requests``.
        control: Whether ``/_sim`` answers; without it nobody reads or steers what others do.
        max_body_bytes: Larger requests are refused with 413.
    """

    fault: Fault = NO_FAULT
    faults: Mapping[str, Fault] = field(default_factory=dict)
    chunks: int | None = None
    size: int | None = None
    pace: float = 0.0
    seed: int = 0
    keys: tuple[Secret, ...] = ()
    any_model: bool = False
    glm_models: bool = True
    balance: float = 49.58894
    remember: int = 100
    control: bool = True
    max_body_bytes: int = 64 * 1024 * 1024

    def fault_for(self, provider: str) -> Fault:
        """What is wrong with a provider from the start."""
        return self.faults.get(provider, self.fault)
