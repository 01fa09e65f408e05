"""The models that are known, and where a name that is not known belongs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from exai_ops.providers.types import ModelInfo

PROVIDERS: Final = ("kimi", "glm")


def _kimi(name: str, tokens: int, *, thinking: bool = False) -> ModelInfo:
    return ModelInfo(name=name, provider="kimi", context_tokens=tokens, thinking=thinking)


def _glm(name: str, tokens: int, *, vision: bool = False) -> ModelInfo:
    return ModelInfo(name=name, provider="glm", context_tokens=tokens, thinking=True, vision=vision)


MODELS: Final = (
    _kimi("kimi-k2-0905-preview", 262_144),
    _kimi("kimi-k2-turbo-preview", 262_144),
    _kimi("kimi-latest", 131_072),
    _kimi("kimi-thinking-preview", 131_072, thinking=True),
    _kimi("moonshot-v1-8k", 8_192),
    _kimi("moonshot-v1-32k", 32_768),
    _kimi("moonshot-v1-128k", 131_072),
    _glm("glm-4.6", 200_000),
    _glm("glm-4.5", 131_072),
    _glm("glm-4.5-air", 131_072),
    _glm("glm-4.5-flash", 131_072),
    _glm("glm-4.5v", 65_536, vision=True),
)
_BY_NAME: Final = {model.name: model for model in MODELS}

# The smallest window that the family has had of late: history is cut sooner, but never refused.
_PREFIXES: Final = {"kimi-": ("kimi", 32_768), "moonshot-": ("kimi", 8_192), "glm-": ("glm", 32_768)}


def find(name: str) -> ModelInfo | None:
    """The model of this name, in any case; a new one of a known family with a cautious window."""
    lowered = name.lower()
    if known := _BY_NAME.get(lowered):
        return known
    for prefix, (provider, tokens) in _PREFIXES.items():
        if lowered.startswith(prefix) and len(lowered) > len(prefix):
            return ModelInfo(name=name, provider=provider, context_tokens=tokens, thinking=provider == "glm")
    return None


def of_provider(name: str, provider: str) -> ModelInfo:
    """The model of this name as one of ``provider``, whatever the name looks like."""
    found = find(name)
    if found is None:
        return ModelInfo(name=name, provider=provider, context_tokens=32_768)
    return found if found.provider == provider else replace(found, provider=provider)
