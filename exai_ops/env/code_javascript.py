"""Which variables a JavaScript or TypeScript file reads: by its tokens, nothing of it is run.

Found are ``process.env``, ``import.meta.env`` and ``Bun.env`` with ``.NAME``, ``["NAME"]`` and destructuring,
also under one other name (``const env = process.env``), and ``Deno.env.get("NAME")``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from exai_ops.env.code_found import Seen, Source, Unsure

_TOKEN: Final = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<word>[A-Za-z_$][\w$]*)"
    r"|(?P<text>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<sign>\?\.(?!\d)|=>|[=!]==?|&&=|\|\|=|\?\?=|[-+*/%]=|.)",
    re.DOTALL,
)
_REGEX: Final = re.compile(r"/(?![/*>])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_PLAIN: Final = re.compile(r"[^`\\$]+")
_BEFORE_DIVISION: Final = frozenset(")]}")
_BEFORE_REGEX: Final = frozenset(
    {"return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "await"}
)
_ROOTS: Final = {
    ("process", ".", "env"): "process.env",
    ("import", ".", "meta", ".", "env"): "import.meta.env",
    ("Bun", ".", "env"): "Bun.env",
    ("Deno", ".", "env"): "Deno.env",
}
_BUILT_IN: Final = frozenset({"MODE", "BASE_URL", "PROD", "DEV", "SSR"})  # import.meta.env's own
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


class _Root(NamedTuple):
    """Tokens ``start`` to ``end`` (exclusive) that are the environment."""

    start: int
    end: int
    how: str


def read_javascript(text: str) -> Source:
    """What a file reads."""
    tokens = list(_tokens(text))
    found = Source()
    for root in _roots(tokens):
        _judge(tokens, root, found)
    return found


# --- tokens ------------------------------------------------------------------------------------


def _tokens(text: str) -> Iterator[_Token]:
    """The tokens of a file; of template literals the expressions, and plain ones as text."""
    position, line, last = 0, 1, _Token("", "", 0)
    templates: list[int] = []  # depth of braces within each template's expression
    while position < len(text):
        end, token = _next(text, position, line, last, templates)
        line += text.count("\n", position, end)
        position = end
        if token is not None:
            last = token
            yield token


def _next(text: str, at: int, line: int, last: _Token, templates: list[int]) -> tuple[int, _Token | None]:
    char = text[at]
    if char == "`" or (char == "}" and templates and templates[-1] == 0):
        if char == "}":
            templates.pop()
        return _template(text, at, line, templates)
    if char == "/" and _begins_regex(last):
        regex = _REGEX.match(text, at)
        if regex is not None:
            return regex.end(), _Token("regex", "", line)
    match = _TOKEN.match(text, at)
    if match is None or match.lastgroup is None:
        return at + 1, None
    if templates and char in "{}":
        templates[-1] += 1 if char == "{" else -1
    token = None if match.lastgroup == "space" else _Token(match.lastgroup, match[0], line)
    return match.end(), token


def _begins_regex(last: _Token) -> bool:
    if last.kind == "word":
        return last.text in _BEFORE_REGEX
    return last.kind in ("", "sign") and last.text not in _BEFORE_DIVISION and last.text != "<"


def _template(text: str, at: int, line: int, templates: list[int]) -> tuple[int, _Token]:
    """The end of a stretch of a template literal, and a token: its text when it is the whole literal."""
    position = at + 1
    while position < len(text):
        plain = _PLAIN.match(text, position)
        position = plain.end() if plain else position
        if text.startswith("`", position):
            whole = text[at] == "`" and "$" not in text[at:position]
            return position + 1, _Token(
                "text" if whole else "template", text[at : position + 1] if whole else "", line
            )
        if text.startswith("${", position):
            templates.append(0)
            return position + 2, _Token("sign", "${", line)
        position += 2 if text.startswith("\\", position) else 1
    return len(text), _Token("template", "", line)


# --- reads -------------------------------------------------------------------------------------


def _roots(tokens: list[_Token]) -> Iterator[_Root]:
    """Every place where the environment stands, by its own name or by one that it was given."""
    texts = [{"?.": "."}.get(token.text, token.text) for token in tokens]
    aliases: dict[str, str] = {}
    for index, token in enumerate(tokens):
        before = texts[index - 1] if index else ""
        if token.kind != "word" or before == ".":
            continue
        root = _root_at(tokens, texts, index)
        if root is not None:
            yield root
            if before == "=" and tokens[index - 2].kind == "word" and _ends(tokens, root.end):
                aliases[tokens[index - 2].text] = root.how
        elif token.text in aliases and texts[index + 1 : index + 2] != ["="]:
            yield _Root(index, index + 1, aliases[token.text])


def _root_at(tokens: list[_Token], texts: list[str], index: int) -> _Root | None:
    for names, how in _ROOTS.items():
        end = index + len(names)
        if texts[index] == names[0] and tuple(texts[index:end]) == names:
            return _Root(index, end, how)
    bracket = texts[index : index + 2] == ["process", "["] and texts[index + 3 : index + 4] == ["]"]
    return _Root(index, index + 4, "process.env") if bracket and _text(tokens[index + 2]) == "env" else None


def _ends(tokens: list[_Token], end: int) -> bool:
    """Whether an expression ends here: the next token is no operator of it."""
    if end >= len(tokens):
        return True
    after = tokens[end]
    return after.text in (";", ",", ")") or (after.kind == "word" and after.line > tokens[end - 1].line)


def _judge(tokens: list[_Token], root: _Root, found: Source) -> None:
    following = tokens[root.end : root.end + 4]
    texts = [token.text for token in following]
    line = tokens[root.start].line
    if root.how == "Deno.env":
        if texts[:3] in ([".", "get", "("], ["?.", "get", "("]):
            _named(following[3:4], line, root.how, found)
    elif texts[:1] in (["."], ["?."]) and texts[1:2] != ["["]:
        if len(following) > 1 and following[1].kind == "word" and not _assigned(texts[2:3]):
            _see(following[1].text, line, root.how, found)
    elif texts[:1] == ["["] or texts[:2] == ["?.", "["]:
        skip = 1 if texts[0] == "[" else 2
        if texts[skip + 1 : skip + 2] != ["]"] or not _text(following[skip]):
            found.unsure.append(Unsure(line, root.how))
        elif not _assigned([t.text for t in tokens[root.end + skip + 2 : root.end + skip + 3]]):
            _see(_text(following[skip]), line, root.how, found)
    elif root.start and tokens[root.start - 1].text == "=" and tokens[root.start - 2].text == "}":
        _destructured(tokens, root.start - 2, root.how, found)
    elif root.start > 1 and tokens[root.start - 1].text == "in" and tokens[root.start - 2].kind == "text":
        _see(_text(tokens[root.start - 2]), line, root.how, found)


def _assigned(texts: list[str]) -> bool:
    return texts == ["="]


def _named(argument: list[_Token], line: int, how: str, found: Source) -> None:
    name = _text(argument[0]) if argument else ""
    _see(name, line, how, found) if name else found.unsure.append(Unsure(line, how))


def _see(name: str, line: int, how: str, found: Source) -> None:
    if _NAME.fullmatch(name) and not (how == "import.meta.env" and name in _BUILT_IN):
        found.seen.append(Seen(name, line, how))


def _text(token: _Token) -> str:
    return token.text[1:-1] if token.kind == "text" and "\\" not in token.text else ""


def _destructured(tokens: list[_Token], end: int, how: str, found: Source) -> None:
    """The keys of ``{ A, B: b, "C": c = 1, ...rest } = process.env``, from its last brace backwards."""
    depth, start = 0, end
    while start >= 0:
        depth += {"}": 1, "]": 1, ")": 1, "{": -1, "[": -1, "(": -1}.get(tokens[start].text, 0)
        if depth == 0:
            break
        start -= 1
    depth, key_next = 0, True
    for token in tokens[start + 1 : end]:
        if depth == 0 and key_next:
            key_next = False
            if token.kind in ("word", "text"):
                _see(token.text if token.kind == "word" else _text(token), token.line, how, found)
            else:  # a computed key or the rest
                found.unsure.append(Unsure(token.line, how))
        depth += {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}.get(token.text, 0)
        key_next = key_next or (depth == 0 and token.text == ",")
