"""Dotenv texts that readers disagree about, made by Hypothesis: by pieces, and by whole lines."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

NAMES: Final = ("A", "B", "C", "N")

_PIECES: Final = (
    "A=", "B=", "C=", "A", "export ", "export\t", "1", "a b", '"', "'", "`", "#", " #", " # c", "\t#", "\\",
    "\\\\", '\\"', "\\'", "\\n", "\\$", "\\0101", "$", "$$", "$A", "${", "${A}", "${N:-d}", "${N-d}",
    "${N:?e}", "${A:+a}", "${N:=w}", "${A:-${B:-x}}", "{", "}", "=", ":", "-", ".", "+=", " ", "  ", "\t",
    "\n", "\n\n", "\r\n", "\r", "\x0b", "\u00a0", "\u2028", "é", "~", ";", "\ufeff", "A=1\n", "B='x'\n",
    "# c\n", "A= # c\n", 'C="x\ny"\n', "=\n",
)  # fmt: skip
_BEFORE: Final = ("", "", "", "export ", "export\t", " ", "\t", "\ufeff", "- ", "#")
_KEYS: Final = ("A", "B", "C", "A", "B", "C", "N", "a.b", "A-B", "1A", "A B", "'A'", "", "A ", "export")
_SEPARATORS: Final = ("=", "=", "=", "=", "= ", " =", ":", ": ", "+=", "==", "")
_VALUES: Final = (
    "", "x", "x y", "'a b'", '"a b"', '"a\\nb"', "'a\\'b'", '"a\\"b"', "a#b", "a #b", "#c", " # c", "\t# c",
    "a\\ b", "a\\", '"x\ny"', "'x\ny'", "'x\\\ny'", '"a"b', "a'b'c", "'a' \"b\"", "`a b`", "it's", "a$",
    "$A", "${A}", "'${A}'", '"${A}"', "$$A", "\\$A", '"\\$A"', "${N:-d}", "${N-d}", "${A:+y}", "${N:=w}",
    "${N?e}", "${B:-${C:-deep}}", "${A:-{a}}", "${A:-{a}", "${}", "${A!}", "${N:-a b}", '"${N:-"q"}"', "$1",
    "$'a\\tb'", "~/x", "a:~", "[x]", "a=b", '"\\061\\0101\\07"', "1\r", '"1"# c', "1\\\n2", "p@ss!w0rd$1",
    '{"k": "v"}', "é\u00a0", "redis://:${A}@h:1/0",
)  # fmt: skip
_ENDS: Final = ("\n", "\n", "\n", "\r\n", " \n", " # c\n", "\n# it's\n", " ;\n", "", "\r")

_lines = st.tuples(*(st.sampled_from(part) for part in (_BEFORE, _KEYS, _SEPARATORS, _VALUES, _ENDS))).map(
    "".join
)
_assignments = st.tuples(
    st.sampled_from(("", "", "export ")),
    st.sampled_from(("A=", "B=", "C=")),
    st.sampled_from(_VALUES),
    st.sampled_from(_ENDS[:7]),
).map("".join)

texts = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=12).map("".join),
    st.lists(_lines, max_size=4).map("".join),
    st.lists(_assignments, min_size=1, max_size=4).map("".join),
)
environments = st.sampled_from(({}, {"N": "of the shell"}, {"A": "of the shell"}, {"N": ""}))


def batches(size: int) -> st.SearchStrategy[list[tuple[str, dict[str, str]]]]:
    """So many texts at a time, each with an environment, for readers whose process is dear to start."""
    return st.lists(st.tuples(texts, environments), min_size=size, max_size=size)
