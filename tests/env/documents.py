"""Dotenv files made by Hypothesis: sections, comments, quotes, duplicates, line ends, broken lines."""

from __future__ import annotations

from hypothesis import strategies as st

from exai_ops.env.document import parse
from exai_ops.env.model import Comment, Document

KEYS = (
    "A",
    "B",
    "C",
    "PORT",
    "TIMEOUT_SECS",
    "REDIS_PASSWORD",
    "API_KEY",
    "EXAI_WS_HOST",
    "EXAI_WS_TOKEN",
    "x.y",
)
WORDS = (
    "one",
    "two words",
    "",
    "8080",
    "true",
    "sk-Zt4kQ9vXw2Lp8sRb",
    "redis://:p4ssw0rd@redis:6379/0",
    "${A}",
    "é",
)
TITLES = ("CORE", "REDIS", "DAEMON")
RULE = "# " + "=" * 20

_keys = st.sampled_from(KEYS)
_values = st.sampled_from(WORDS)
_comments = st.sampled_from(("note", "why 30 s", "A=1", "API_KEY=old", "it's", "password: hunter22", ""))


@st.composite
def _assignments(draw: st.DrawFn) -> str:
    key, value = draw(_keys), draw(_values)
    quote = draw(st.sampled_from(("", "", '"', "'")))
    inline = draw(st.sampled_from(("", "", "  # note", " # was sk-Zt4kQ9vXw2Lp8sRb", "   ")))
    equals = draw(st.sampled_from(("=", "=", "=", " = ", "= ", ": ")))
    export = draw(st.sampled_from(("", "", "", "export ")))
    return f"{export}{key}{equals}{quote}{value}{quote}{inline}"


_blocks = st.one_of(
    _assignments(),
    _assignments(),
    _assignments(),
    _comments.map(lambda text: f"# {text}".rstrip()),
    st.just(""),
    st.just("  "),
    st.sampled_from(TITLES).map(lambda title: f"{RULE}\n# {title}\n{RULE}"),
    st.sampled_from(("BARE", "not an assignment", "M='two\nlines'", "=x")),
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """The text of a file, with or without byte order mark and last line end, its line ends alike or mixed."""
    lines = "\n".join(draw(st.lists(_blocks, max_size=14))).split("\n")
    ends = st.sampled_from(draw(st.sampled_from((("\n",), ("\n",), ("\r\n",), ("\n", "\r\n")))))
    text = "".join(line + draw(ends) for line in lines)
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    return ("\ufeff" if draw(st.booleans()) else "") + text


def document(text: str, path: str = ".env") -> Document:
    """A document of a text."""
    return parse(text.encode(), path)


def documents(path: str = ".env") -> st.SearchStrategy[Document]:
    """Documents of such texts."""
    return texts().map(lambda text: document(text, path))


def comments(of: Document) -> list[str]:
    """The comment lines of a document, headings and rules included."""
    return [node.raw.strip() for node in of.nodes if isinstance(node, Comment)]
