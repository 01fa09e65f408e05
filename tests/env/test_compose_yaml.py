"""YAML with places: types, anchors, merge keys, tags, and what is refused in bounded time and memory."""

from __future__ import annotations

import resource
import time
from typing import Any

import pytest

from exai_ops.compose.scalars import ScalarValue, as_text, typed
from exai_ops.compose.shape import to_value
from exai_ops.compose.yaml import MAX_DEPTH, Mapping, Scalar, parse
from exai_ops.errors import CouldNotLook


def value(text: str) -> Any:
    (document,) = parse(text, "c.yml").documents
    return to_value(document)


@pytest.mark.parametrize(
    ("written", "read", "text"),
    [
        ("", None, ""),
        ("~", None, ""),
        ("null", None, ""),
        ("true", True, "true"),
        ("False", False, "false"),
        ("yes", "yes", "yes"),
        ("on", "on", "on"),
        ("12", 12, "12"),
        ("-3", -3, "-3"),
        ("0777", 511, "511"),
        ("0o17", 15, "15"),
        ("0x1F", 31, "31"),
        ("0b101", 5, "5"),
        ("1_000", 1000, "1000"),
        ("08", 8.0, "8"),
        ("1.10", 1.1, "1.1"),
        ("1.0", 1.0, "1"),
        ("1e3", 1000.0, "1000"),
        ("1000000.0", 1000000.0, "1e+06"),
        ("-123456789.0", -123456789.0, "-1.23456789e+08"),
        ("0.00001", 0.00001, "1e-05"),
        (".inf", float("inf"), "+Inf"),
        ("3.11.7", "3.11.7", "3.11.7"),
        ("8080:80", "8080:80", "8080:80"),
        ("+", "+", "+"),
        ("0b", "0b", "0b"),
        ("_1", "_1", "_1"),
    ],
)
def test_scalars_are_typed_and_written_as_compose_does(written: str, read: ScalarValue, text: str) -> None:
    assert typed(written) == read
    assert type(typed(written)) is type(read)
    assert as_text(typed(written)) == text


def test_quotes_and_blocks_are_strings() -> None:
    text = "a: '1'\nb: \"true\"\nc: |\n  12\nd: !!str 5\n"
    assert value(text) == {"a": "1", "b": "true", "c": "12\n", "d": "5"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a: &x {k: 1}\nb: *x\n", {"a": {"k": 1}, "b": {"k": 1}}),
        ("x: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n", {"x": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}}),
        ("b:\n  k: 3\n  <<: {k: 1, l: 2}\n", {"b": {"k": 3, "l": 2}}),
        ("b:\n  <<: [{k: 1}, {k: 2, l: 2}]\n", {"b": {"k": 1, "l": 2}}),
        ("b:\n  '<<': 1\n", None),
        ("a: &n 5\nb: [*n, *n]\n", {"a": 5, "b": [5, 5]}),
        ("a: &x {k: 1}\nb: &x {k: 2}\nc: *x\n", {"a": {"k": 1}, "b": {"k": 2}, "c": {"k": 2}}),
    ],
)
def test_anchors_and_merge_keys(text: str, read: object) -> None:
    if read is None:
        with pytest.raises(CouldNotLook, match=r"c\.yml:2: << takes a mapping"):
            parse(text, "c.yml")
    else:
        assert value(text) == read


def test_places_are_of_the_key_and_of_the_value() -> None:
    text = "services:\n  web:\n    ports:\n      - '80:80'\n    environment: {A: x}\n"
    (top,) = parse(text, "c.yml").documents
    assert isinstance(top, Mapping)
    services = top.entries["services"]
    assert isinstance(services, Mapping)
    web = services.entries["web"]
    assert isinstance(web, Mapping)
    assert (services.keys["web"].line, services.keys["web"].column) == (2, 3)
    environment = web.entries["environment"]
    assert isinstance(environment, Mapping)
    leaf = environment.entries["A"]
    assert (leaf.place.line, leaf.place.column) == (5, 22)


def test_a_merged_key_stands_where_it_is_written() -> None:
    (top,) = parse("x-c: &c\n  TZ: UTC\nb:\n  <<: *c\n", "c.yml").documents
    assert isinstance(top, Mapping)
    assert isinstance(top.entries["b"], Mapping)
    assert top.entries["b"].keys["TZ"].line == 2


def test_tags_of_compose_are_kept_and_others_are_not() -> None:
    (top,) = parse("a: !reset null\nb: !override [1]\nc: !other x\n", "c.yml").documents
    assert isinstance(top, Mapping)
    assert [node.tag for node in top.entries.values()] == ["!reset", "!override", ""]


def test_a_duplicate_key_is_a_problem_and_the_last_one_is_taken() -> None:
    parsed = parse("a: 1\nb: 2\na: 3\n", "c.yml")
    assert to_value(parsed.documents[0]) == {"a": 3, "b": 2}
    (problem,) = parsed.problems
    assert (problem.kind, problem.place.line, "line 1" in problem.message) == ("duplicate", 3, True)


def test_the_source_of_a_value_with_a_dollar_is_kept() -> None:
    (top,) = parse('é: "$A"\nb: plain\n', "c.yml").documents
    assert isinstance(top, Mapping)
    first, second = top.entries.values()
    assert isinstance(first, Scalar)
    assert isinstance(second, Scalar)
    assert (first.source, second.source) == ('"$A"', "")


def laughs(levels: int, width: int = 10) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def merges(levels: int) -> str:
    lines = ["m0: &m0 {k: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}], k{n}: 1}}" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def deep_aliases(levels: int) -> str:
    lines = [f"a0: &a0 {'[' * 40}{']' * 40}"]
    lines += [f"a{n}: &a{n} {'[' * 40}*a{n - 1}{']' * 40}" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(9), "c.yml:5: has more than 100000 values"),
        (laughs(40), "has more than 100000 values"),
        (merges(60), "has more than 100000 values"),
        ("a: [" + "x," * 200_000 + "]", "has more than 100000 values"),
        (deep_aliases(2000), f"c.yml:2: nests more than {MAX_DEPTH} levels"),
        ("[" * 2_000_000, "c.yml:1: nests more than 64 levels"),
        ("{" * 2_000_000, "c.yml:1: nests more than 64 levels"),
        ("- " * 1_000_000, "c.yml:1: nests more than 64 levels"),
        ("? " * 1_000_000, "c.yml:1: nests more than 64 levels"),
        ("[x: " * 500_000, "c.yml:1: nests more than 64 levels"),
        ('a: "' + "\\n" * 2_000_000, "c.yml:1: found unexpected end of stream"),
        ("a: &a [*a]\n", "c.yml:1: the anchor 'a' contains itself"),
        ("a: *b\n", "c.yml:1: "),
        ("a: 1\n b: 2\n", "c.yml:2: mapping values are not allowed"),
        ("a:\n\t- b\n", "c.yml:2: "),
        ("a: \x00\n", "c.yml: "),
        ("? [a]\n: b\n", "c.yml:1: a key must be a single value"),
        ("%YAML 9.9\n---\na: 1\n", "c.yml:1: "),
    ],
    ids=lambda text: repr(text[:24]),
)
def test_broken_and_hostile_files_are_refused_in_one_line_and_soon(text: str, message: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(CouldNotLook) as caught:
        parse(text, "c.yml")
    assert time.process_time() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    assert message in caught.value.message
    assert "\n" not in caught.value.message
