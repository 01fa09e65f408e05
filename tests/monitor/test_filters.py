from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.errors import UsageError
from exai_ops.monitor.events import DIRECTIONS, Event
from exai_ops.monitor.filters import PATTERN_CHARS, check_types, compiled, fitting, text
from exai_ops.monitor.wire import Filter


def event(**fields: Any) -> Event:
    plain: dict[str, Any] = {
        "timestamp": 1.0,
        "connection_type": "kimi",
        "direction": "receive",
        "script_name": "providers/upstream.py",
        "function_name": "stream",
    }
    return Event(**plain | fields)


SEEN = event(
    response_time_ms=600.0,
    error="HTTP 429: slow down",
    metadata={"session": "ab12-cd", "request": "r77", "attempt": 2, "model": "kimi-k2"},
)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Filter(), True),
        (Filter(types=("glm", "kimi")), True),
        (Filter(types=("glm",)), False),
        (Filter(directions=("receive",)), True),
        (Filter(directions=("send", "error")), False),
        (Filter(functions=("stream",)), True),
        (Filter(functions=("strea",)), False),
        (Filter(errors=True), True),
        (Filter(slower_ms=599.9), True),
        (Filter(slower_ms=600.0), False),
        (Filter(session="ab12"), True),
        (Filter(session="b12"), False),
        (Filter(request="r7"), True),
        (Filter(request="r78"), False),
        (Filter(grep=("429", "attempt=2")), True),
        (Filter(grep=("429", "attempt=3")), False),
        (Filter(grep=("^kimi receive providers/upstream.py stream HTTP",)), True),
        (Filter(grep=("(?i)SLOW DOWN",)), True),
        (Filter(grep=("SLOW",)), False),
        (Filter(exclude=("slow",)), False),
        (Filter(exclude=("fast",)), True),
        (Filter(grep=("429",), exclude=("model=kimi",)), False),
        (Filter(types=("kimi",), errors=True, slower_ms=100, request="r77", grep=("429",)), True),
    ],
)
def test_an_event_fits_every_field_that_is_set(wanted: Filter, fits: bool) -> None:
    assert compiled(wanted)(SEEN) is fits
    assert list(fitting(compiled(wanted), [SEEN])) == [SEEN] * fits


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({}, False),
        ({"error": "x"}, True),
        *(({"direction": name}, name in ("error", "reject", "rate_limit")) for name in DIRECTIONS),
    ],
)
def test_errors_are_errors_rejections_and_rate_limits(fields: dict[str, Any], bad: bool) -> None:
    assert compiled(Filter(errors=True))(event(**fields)) is bad


def test_an_event_without_what_is_asked_for_does_not_fit() -> None:
    plain = event()
    for wanted in (Filter(slower_ms=0), Filter(session="a"), Filter(request="r"), Filter(grep=("error",))):
        assert not compiled(wanted)(plain)
    assert not compiled(Filter(session="1"))(event(metadata={"session": 1}))


def test_no_condition_takes_all_without_looking() -> None:
    matcher = compiled(Filter())
    events = [SEEN]
    assert matcher.takes_all
    assert fitting(matcher, events) is events


@pytest.mark.parametrize(
    ("field", "pattern", "said", "hint"),
    [
        ("grep", "a(b", "--grep: 'a(b' at character 2: missing )", "RE2 syntax"),
        ("grep", "a(b)(c", "--grep: 'a(b)(c' at character 5: missing )", "RE2 syntax"),
        ("grep", r"a\)[)]b)", r"--grep: 'a\\)[)]b)' at character 8: unexpected )", "RE2 syntax"),
        ("exclude", "*a", "--exclude: '*a' at character 1: no argument for repetition operator: *", "RE2"),
        ("grep", "ab[z-a]", "--grep: 'ab[z-a]' at character 4: invalid character class range: z-a", "RE2"),
        ("grep", "(?=x)", "--grep: '(?=x)' at character 1: invalid perl operator: (?=", "lookaround"),
        ("grep", r"(a)\1", r"--grep: '(a)\\1' at character 4: invalid escape sequence: \1", "back-ref"),
        ("grep", "a{9999}", "--grep: 'a{9999}' at character 2: invalid repetition size: {9999}", "RE2"),
        ("grep", r"(\pL{500}){2}", r"--grep: '(\\pL{500}){2}': pattern too large", "lower repetitions"),
        ("grep", "", "--grep: is an empty pattern", "leave it out"),
        ("grep", "\udc80", r"--grep: '\udc80' is not Unicode", ""),
        ("exclude", "x" * (PATTERN_CHARS + 1), "--exclude: 'xxx", f"{PATTERN_CHARS} at most"),
    ],
)
def test_a_bad_pattern_is_named_with_the_place(field: str, pattern: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        compiled(Filter(grep=(pattern,)) if field == "grep" else Filter(exclude=(pattern,)))
    assert caught.value.message.startswith(said)
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")


def test_too_many_patterns_are_refused() -> None:
    compiled(Filter(grep=("a",) * 20))
    with pytest.raises(UsageError, match="--grep: 21 patterns"):
        compiled(Filter(grep=("a",) * 21))


def test_a_catastrophic_pattern_is_as_quick_as_any() -> None:
    matcher = compiled(Filter(grep=(r"^(a+)+$", r"(a|aa)+b")))
    assert not matcher(event(error="a" * 50_000))  # a backtracking one would not come back


@pytest.mark.parametrize(
    ("name", "hint"),
    [("sent", "did you mean send?"), ("RECEIVE", "did you mean receive?"), ("zzz", "one of connect, ")],
)
def test_a_direction_that_no_event_has(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="--direction") as caught:
        compiled(Filter(directions=("send", name)))
    assert (caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize(
    ("name", "recorded", "hint"),
    [
        ("websocket", (), None),
        ("websockt", (), "did you mean websocket?"),
        ("Kimi", (), "did you mean kimi?"),
        ("smtp", (), None),
        ("kimi-2", (), None),
        ("kimmi", ("kimmi",), None),
        ("postgre", ("postgres",), "did you mean postgres?"),
    ],
)
def test_a_type_is_refused_where_it_looks_like_a_slip(
    name: str, recorded: tuple[str, ...], hint: str | None
) -> None:
    if hint is None:
        check_types((name,), recorded)
        return
    with pytest.raises(UsageError, match="--type") as caught:
        check_types((name,), recorded)
    assert caught.value.hint == hint


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("metadata", [{"x": Hostile()}, {"x": "\udc80"}, 7, {"x": {"y": [1, None]}}])
def test_foreign_metadata_stops_nobody(metadata: Any) -> None:
    odd = event(metadata=metadata)
    assert not compiled(Filter(grep=("nothing like it",)))(odd)
    assert compiled(Filter(grep=("stream",)))(odd)
    assert not compiled(Filter(session="a"))(odd)


@given(
    st.text(),
    st.none() | st.text(),
    st.none() | st.dictionaries(st.text(), st.none() | st.integers() | st.floats() | st.text()),
)
def test_any_text_of_an_event_is_found_in_it(
    function: str, error: str | None, metadata: dict[str, Any] | None
) -> None:
    one = event(function_name=function, error=error, metadata=metadata)
    assert function in text(one)
    assert (error or "") in text(one)
    assert compiled(Filter(grep=("(?s).*", "kimi receive")))(one)
    assert not compiled(Filter(exclude=("kimi receive",)))(one)


@pytest.mark.parametrize("option", ["session", "request"])
def test_an_option_that_is_no_utf_8_is_refused(option: str) -> None:
    from exai_ops.commands.monitor.options import filter_of

    with pytest.raises(UsageError, match=rf"--{option}: \\udcff is no UTF-8"):
        filter_of(**{option: "\udcff"})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="--function"):
        filter_of(functions=["a\udcff"])
