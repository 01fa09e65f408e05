"""``exai env explain``: what each service and each reader gets for one key, from where, and why."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from exai_ops.errors import CouldNotLook, ExaiError, UsageError

if TYPE_CHECKING:
    from exai_ops.env.explain import Explanation


def explain(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A variable's name.")],
    service: Annotated[str | None, typer.Option(help="One service alone.")] = None,
    reader: Annotated[str | None, typer.Option(help="One reader of the files alone: bash, node.")] = None,
    compose: Annotated[
        list[str] | None, typer.Option(help="A compose file; again for more; else found here.")
    ] = None,
    env_file: Annotated[str | None, typer.Option(help="What compose runs with as --env-file.")] = None,
    live: Annotated[str | None, typer.Option(help="The file in use; else .env.docker or .env here.")] = None,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",  # noqa: A002
) -> None:
    """Show what each service and each reader gets for a key, from which line, and what it wins over."""
    from exai_ops.env.config import read_config
    from exai_ops.env.explain import Sources
    from exai_ops.env.explain import explain as explained
    from exai_ops.env.explained import as_json, as_table
    from exai_ops.env.find import find
    from exai_ops.env.gather import gather
    from exai_ops.env.readers import READERS
    from exai_ops.settings import shell

    render = {"text": as_table, "json": as_json}.get(format)
    if render is None:
        raise UsageError(f"--format: {format!r} is not known", hint="text or json")
    _check("--reader", reader, READERS)
    here = Path()
    found = find(here, live=live, compose=compose or (), environ=shell())
    context = gather(found, read_config(here), env_file=env_file).context
    services = context.project.services if context.project is not None else {}
    _check("--service", service, services)
    documents = [document for document in (context.live, context.main) if document is not None]
    explanation = explained(
        key,
        Sources(
            project=context.project,
            files=[(document.path, document.data) for document in documents],
            readers=READERS,
            use=context.readers,
            environ=context.environ,
            variables=context.variables,
        ),
        service=service,
        reader=reader,
    )
    if explanation.known or explanation.refused or format == "json":
        print(render(explanation), end="")
    if explanation.refused:
        raise CouldNotLook(
            f"{key}: nothing can be said of it: no reader in use takes {explanation.refused}",
            hint="exai env check says why, and how to mend it",
        )
    if not explanation.found:
        raise _not_set(explanation)


_MEND: Final = "exai env check says how to mend the line"


def _not_set(explanation: Explanation) -> ExaiError:
    if explanation.dropped:
        where = " and ".join(f"line {place.line} of {place.file}" for place in explanation.dropped)
        has = "have" if len(explanation.dropped) > 1 else "has"
        return ExaiError(f"{where} {has} {explanation.key}, but no reader takes it", hint=_MEND)
    where = "there" if explanation.known else "anywhere"
    near = explanation.nearest
    return ExaiError(f"{explanation.key} is not set {where}", hint=f"did you mean {near}?" if near else None)


def _check(option: str, name: str | None, known: Collection[str]) -> None:
    if name is not None and name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = (
            f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}" if known else "there is none"
        )
        raise UsageError(f"{option}: {name!r} is not known", hint=hint)
