"""The arguments of a tool, from its signature: a struct that checks them, a JSON schema that tells them.

``msgspec`` does both, so that checking a call's arguments is one call into C. What it finds wrong is
turned into a sentence that names the field and what is allowed there.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from exai_ops.errors import InvalidArguments

_SHOWN_CHARS: Final = 60


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """What a parameter's type does not say: ``Annotated[float, Param(description=..., maximum=2)]``.

    Attributes:
        minimum, maximum: Inclusive bounds of a number.
        min_length, max_length: Inclusive bounds of a text's characters or a list's items.
        pattern: Regular expression that a text must hold.
        choices: The only values allowed, text or whole numbers.
    """

    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    choices: tuple[str | int, ...] = ()


class Arguments:
    """The parameters of one function: ``convert`` checks and fills them in, ``schema`` describes them."""

    __slots__ = ("_struct", "schema")

    def __init__(self, function: Callable[..., Any]) -> None:
        fields = [_field(function, parameter, hint) for parameter, hint in _parameters(function)]
        self._struct = msgspec.defstruct(
            f"{function.__name__}_arguments", fields, kw_only=True, forbid_unknown_fields=True
        )
        self.schema: dict[str, Any] = _object_schema(self._struct)

    def convert(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter's value, defaults included. Raises InvalidArguments."""
        try:
            return msgspec.structs.asdict(msgspec.convert(arguments, self._struct))
        except msgspec.ValidationError as error:
            raise InvalidArguments(explain(str(error), self.schema)) from None


def explain(error: str, schema: Mapping[str, Any]) -> str:
    """msgspec's message as ``field: what is wrong; allowed: ...``."""
    problem, _, place = error.partition(" - at `$")
    path = place.rstrip("`").lstrip(".")
    if match := re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", problem):
        name = f"{path}.{match[2]}" if path else match[2]
        known = () if path else schema["properties"]
        return _missing(name, schema) if match[1].startswith("missing") else _unknown(name, known)
    if " - at `key` in `$" in error:
        return "arguments: the names must be text"
    if not path:
        return f"arguments: {_wrong(problem)}; allowed: an object"
    allowed = allowed_values(schema["properties"][path]) if path in schema["properties"] else ""
    return f"{path}: {_wrong(problem)}; allowed: {allowed}" if allowed else f"{path}: {_lower(problem)}"


def allowed_values(schema: Mapping[str, Any]) -> str:
    """The values that a property takes, in words; empty when words fail."""
    if "anyOf" in schema:
        words = [allowed_values(part) for part in schema["anyOf"]]
        return " or ".join(words) if all(words) else ""
    if "enum" in schema:
        return "one of " + ", ".join(str(value) for value in schema["enum"])
    words_of_type = _WORDS.get(schema.get("type", ""), "")
    return words_of_type + _bounds(schema) if words_of_type else ""


_WORDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_GOT: Final = {"str": "text", "int": "a whole number", "float": "a fraction", "bool": "true or false"} | {
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None or high is not None:
        return f" of at least {low:g}" if low is not None else f" of at most {high:g}"
    return _lengths(schema) + (f" that matches {schema['pattern']}" if "pattern" in schema else "")


def _lengths(schema: Mapping[str, Any]) -> str:
    unit = "items" if schema.get("type") == "array" else "characters"
    low = schema.get("minLength", schema.get("minItems"))
    high = schema.get("maxLength", schema.get("maxItems"))
    if low is not None and high is not None:
        return f" of {low} to {high} {unit}"
    if high is not None:
        return f" of at most {high} {unit}"
    if low is not None:
        return " that is not empty" if low == 1 else f" of at least {low} {unit}"
    return ""


def _wrong(problem: str) -> str:
    if match := re.fullmatch(r"Expected .*, got `(.*)`", problem):
        return f"got {_GOT.get(match[1], match[1])}"
    if match := re.fullmatch(r"Invalid enum value (.*)", problem, re.DOTALL):
        shown = match[1] if len(match[1]) <= _SHOWN_CHARS else match[1][:_SHOWN_CHARS] + "..."
        return f"{shown} is not known"
    if problem.endswith("of length >= 1"):
        return "is empty"
    if "of length" in problem:
        return "is too short" if ">=" in problem else "is too long"
    return "does not match" if "matching" in problem else "is out of range"


def _lower(problem: str) -> str:
    return problem[:1].lower() + problem[1:]


def _missing(name: str, schema: Mapping[str, Any]) -> str:
    allowed = allowed_values(schema["properties"].get(name, {}))
    return f"{name}: is required" + (f"; allowed: {allowed}" if allowed else "")


def _unknown(name: str, known: typing.Iterable[str]) -> str:
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f"{name}: is not known; did you mean {near[0]}?"
    listed = ", ".join(names) if names else "none"
    return f"{name}: is not known; allowed: {listed}"


def _parameters(function: Callable[..., Any]) -> list[tuple[inspect.Parameter, Any]]:
    """The parameters after the context with their types; the context's own type is never evaluated."""
    _context, *parameters = _checked(function)
    wanted = {p.name: p.annotation for p in parameters}
    holder = types.SimpleNamespace(__annotations__=wanted)
    try:
        hints = typing.get_type_hints(holder, getattr(function, "__globals__", {}), include_extras=True)
    except NameError as error:
        raise TypeError(
            f"tool {function.__name__}: {error}; the types of its parameters must be known at run time"
        ) from error
    return [(p, hints[p.name]) for p in parameters]


def _checked(function: Callable[..., Any]) -> list[inspect.Parameter]:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"tool {function.__name__}: must be an async function")
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise TypeError(f"tool {function.__name__}: the first parameter must be the context")
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"tool {function.__name__}: {parameter.name} must be a keyword parameter")
        if parameter.annotation is parameter.empty:
            raise TypeError(f"tool {function.__name__}: {parameter.name} has no type")
    return parameters


def _field(function: Callable[..., Any], parameter: inspect.Parameter, hint: Any) -> Any:
    kind = _constrained(hint)
    if parameter.default is parameter.empty:
        return (parameter.name, kind)
    default = parameter.default
    try:
        msgspec.convert(default, kind)
    except msgspec.ValidationError as error:
        raise TypeError(f"tool {function.__name__}: default of {parameter.name}: {error}") from error
    return (parameter.name, kind, default)


def _constrained(hint: Any) -> Any:
    """The type with its ``Param`` or description as msgspec's constraints."""
    if typing.get_origin(hint) is not Annotated:
        return hint
    kind, *notes = typing.get_args(hint)
    for note in notes:
        if isinstance(note, str):
            kind = Annotated[kind, msgspec.Meta(description=note)]
        elif isinstance(note, Param):
            kind = _with_param(kind, note)
        else:
            kind = Annotated[kind, note]
    return kind


def _with_param(kind: Any, param: Param) -> Any:
    names = {"minimum": "ge", "maximum": "le"} | {n: n for n in ("min_length", "max_length", "pattern")}
    limits = {to: getattr(param, name) for name, to in names.items() if getattr(param, name) is not None}
    if param.choices:
        kind = _map_value_type(kind, lambda _: Literal[param.choices])
    if limits:
        kind = _map_value_type(kind, lambda inner: Annotated[inner, msgspec.Meta(**limits)])
    return Annotated[kind, msgspec.Meta(description=param.description)] if param.description else kind


def _map_value_type(kind: Any, change: Callable[[Any], Any]) -> Any:
    """Apply ``change`` to ``T`` of ``T`` and of ``T | None``: a bound belongs to the value, not to None."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return change(kind)
    inner = [part for part in typing.get_args(kind) if part is not type(None)]
    return typing.Union[change(typing.Union[tuple(inner)]), None]  # noqa: UP007 - built at run time


def _object_schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    (_,), components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    schema = dict(components.pop(struct.__name__))
    schema.pop("title", None)
    schema.setdefault("properties", {})
    if components:
        schema["$defs"] = components
    return schema
