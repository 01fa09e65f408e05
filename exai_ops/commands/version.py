"""``exai version``: what is installed, for a bug report."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

import exai_ops


def version(
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON object.")] = False,
) -> None:
    """Print the versions of exai, Python and the platform."""
    facts = {
        "exai": exai_ops.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    if as_json:
        import json

        print(json.dumps(facts))
    else:
        print("\n".join(f"{name} {value}" for name, value in facts.items()))
