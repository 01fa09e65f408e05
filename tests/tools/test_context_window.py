from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exai_ops.errors import InvalidArguments
from exai_ops.tools.context_window import Fitted, Sized, answer_reserve, cost, estimate_tokens, fit

TEXTS = [
    ("", 0),
    ("a", 1),
    ("four letter word", 4),
    ("1234567890", 10),
    ("{}\n", 3),
    ("你好世界", 5),
    ("é", 1),
    ("🙂", 2),
    ("x = 12", 4),
]


@pytest.mark.parametrize(("text", "tokens"), TEXTS)
def test_the_estimate_of_a_text(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


@given(st.text(), st.text())
def test_an_estimate_grows_with_the_text_and_never_by_more_than_its_parts(a: str, b: str) -> None:
    whole = estimate_tokens(a + b)
    assert max(estimate_tokens(a), estimate_tokens(b)) <= whole <= estimate_tokens(a) + estimate_tokens(b)


@given(st.text(min_size=1))
def test_an_estimate_is_at_least_a_quarter_of_the_characters(text: str) -> None:
    assert 4 * estimate_tokens(text) >= len(text)


@pytest.mark.parametrize(
    ("window", "max_tokens", "reserve"),
    [(262_144, None, 4096), (8192, None, 2048), (8192, 100, 100), (8192, 9000, 9000)],
)
def test_the_room_kept_for_the_answer(window: int, max_tokens: int | None, reserve: int) -> None:
    assert answer_reserve(window, max_tokens) == reserve


tokens = st.integers(0, 120)
systems = st.none() | st.builds(Sized, st.just("system"), st.just("rules"), tokens)
turns = st.lists(st.tuples(tokens, tokens), max_size=12)


def history_of(sizes: list[tuple[int, int]]) -> list[Sized]:
    return [
        message
        for number, (asked, answered) in enumerate(sizes)
        for message in (Sized("user", f"q{number}", asked), Sized("assistant", f"a{number}", answered))
    ]


@given(systems, turns, tokens, st.integers(0, 2000), st.integers(0, 300))
def test_what_is_sent_fits_and_only_the_oldest_turns_are_missing(
    system: Sized | None, sizes: list[tuple[int, int]], asked: int, window: int, reserve: int
) -> None:
    history, prompt = history_of(sizes), Sized("user", "now", asked)
    fixed = cost(prompt) + (cost(system) if system else 0)
    try:
        fitted = fit(system, history, prompt, window=window, reserve=reserve, model="m")
    except InvalidArguments:
        assert fixed > window - reserve
        return
    rest = history[2 * fitted.dropped_turns :]
    assert fitted.messages == (*([system] if system else []), *rest, prompt)
    assert fitted.tokens == sum(map(cost, fitted.messages)) <= window - reserve
    if fitted.dropped_turns:
        oldest = history[2 * fitted.dropped_turns - 2 : 2 * fitted.dropped_turns]
        assert fitted.tokens + sum(map(cost, oldest)) > window - reserve


def test_a_turn_is_dropped_whole_also_when_it_has_no_answer() -> None:
    history = [Sized("user", "q0", 10), Sized("user", "q1", 10), Sized("assistant", "a1", 10)]
    fitted = fit(None, history, Sized("user", "now", 10), window=50, reserve=0, model="m")
    assert fitted == Fitted(
        messages=(history[1], history[2], Sized("user", "now", 10)), dropped_turns=1, tokens=48
    )


@pytest.mark.parametrize(
    ("asked", "reserve", "message"),
    [
        (95, 0, "prompt: about 101 tokens with its system message, and m takes 100 (100 less 0 for the"),
        (50, 50, "prompt: about 56 tokens with its system message, and m takes 50 (100 less 50 for the"),
        (1, 100, "max_tokens: 100 leaves no room for the prompt; allowed: less than the 100 tokens of m's"),
    ],
)
def test_a_prompt_that_does_not_fit_alone_is_refused_with_numbers(
    asked: int, reserve: int, message: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        fit(None, [], Sized("user", "now", asked), window=100, reserve=reserve, model="m")
    assert str(caught.value).startswith(message)
