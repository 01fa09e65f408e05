"""Every variable of the environment: type, unit, default, range, aliases; read here and nowhere else.

A field of ``Settings`` is the one declaration of its variable. ``load(environment())`` builds the frozen
model, once, in the command that needs it; ``env_example`` writes the documented example from the same fields.
"""

from exai_ops.settings.example import env_example
from exai_ops.settings.model import VARIABLES, Settings, is_loopback
from exai_ops.settings.reading import Problem, Sources, environment, examine, load, secrets_in, shell, sources
from exai_ops.settings.stack import STACK_VARIABLES, StackVariable
from exai_ops.settings.variable import BadValue, Secret, Variable, secret_of

__all__ = [
    "STACK_VARIABLES",
    "VARIABLES",
    "BadValue",
    "Problem",
    "Secret",
    "Settings",
    "Sources",
    "StackVariable",
    "Variable",
    "env_example",
    "environment",
    "examine",
    "is_loopback",
    "load",
    "secret_of",
    "secrets_in",
    "shell",
    "sources",
]
