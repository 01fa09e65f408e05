"""Shapes of credentials, each with its name in words. A match may still be a made-up one.

Patterns are text: ``re`` compiles one when it is first tried, which in most runs none is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


class Shape(NamedTuple):
    """One kind of credential.

    Attributes:
        marks: Texts of which one is in every such credential.
        pattern: Its group ``value`` is the secret.
    """

    what: str
    marks: tuple[str, ...]
    pattern: str


def _token(what: str, marks: tuple[str, ...], value: str, *, end: str = r"(?![A-Za-z0-9_-])") -> Shape:
    return Shape(what, marks, rf"(?<![A-Za-z0-9_/+-])(?P<value>{value}){end}")


JWT: Final = _token(
    "a JSON Web Token", ("eyJ",), r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}", end=""
)
API_KEY: Final = _token("an API key (sk-)", ("sk-",), r"sk-[A-Za-z0-9_-]{20,}")
PRIVATE_KEY: Final = Shape(
    "a private key",
    ("PRIVATE KEY",),
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:\s*[\"']?\s*$|(?:\s|\\n|\\r)*(?P<value>[A-Za-z0-9+/=]{20,}))",
)
URL: Final = Shape(
    "a password in a URL",
    ("://",),
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@\"'`<>]*:(?![0-9]{1,5}/)(?P<value>[^\s@\"'`<>]+)@[A-Za-z0-9\[]",
)
BEARER: Final = Shape(
    "a token of an Authorization header",
    ("earer ", "EARER ", "uthorization", "UTHORIZATION"),
    r"(?i:\bbearer[ \t]+|\bauthorization[\"']?[ \t]*[:=,]"
    r"[ \t]*[a-z]{0,2}[\"'`]?(?:basic|token|api-?key)[ \t]+)"
    r"(?P<value>[A-Za-z0-9._~+/=-]{16,})",
)
SHAPES: Final = (
    JWT,
    API_KEY,
    PRIVATE_KEY,
    URL,
    _token("a secret key of Stripe", ("k_live_",), r"[sr]k_live_[A-Za-z0-9]{16,}"),
    _token("an access key of AWS", ("AKIA", "ASIA"), r"A[KS]IA[A-Z2-7]{16}"),
    _token(
        "a token of GitHub",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}",
    ),
    Shape(
        "a webhook of Slack",
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<value>[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]{16,})",
    ),
    Shape(
        "a key of Azure",
        ("AccountKey=", "SharedAccessKey="),
        r"(?:Account|SharedAccess)Key=(?P<value>[A-Za-z0-9+/]{20,}={0,2})",
    ),
    _token("a token of GitLab", ("glpat-",), r"glpat-[A-Za-z0-9_-]{20,}"),
    _token("a token of Slack", ("xox",), r"xox[abeprs]-[A-Za-z0-9-]{20,}"),
    _token("an API key of Google", ("AIza",), r"AIza[A-Za-z0-9_-]{35}"),
    _token("a token of npm", ("npm_",), r"npm_[A-Za-z0-9]{36}"),
    _token("a token of PyPI", ("pypi-AgE",), r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    _token("a token of Hugging Face", ("hf_",), r"hf_[A-Za-z0-9]{30,}"),
    _token("an API key of SendGrid", ("SG.",), r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _token(
        "a secret key of Supabase", ("sb_secret_", "sbp_"), r"sb_secret_[A-Za-z0-9_-]{20,}|sbp_[a-f0-9]{40}"
    ),
    BEARER,  # the last: what a token is by its own shape says more
)
MARKS: Final = tuple(mark for shape in SHAPES for mark in shape.marks)
_HOSTS: Final = (
    "upstash.io", "rds.amazonaws.com", "neon.tech", "mongodb.net", "redis-cloud.com", "redislabs.com",
    "database.windows.net", "supabase.com",
)  # fmt: skip
_SUPABASE: Final = r"(?<![A-Za-z0-9-])([a-z]{20})\.supabase\.(?:co|in)\b"
_HOSTED: Final = (
    r"(?<![A-Za-z0-9-])([a-z0-9-]*[0-9][a-z0-9-]*)(?:\.[a-z0-9-]+)*\.(?:"
    + "|".join(map(re.escape, _HOSTS))
    + r")\b"
)
_REFERENCE: Final = r"(?<![A-Za-z0-9_/.-])([a-z]{20})(?![A-Za-z0-9_/.-])"


def matches(text: str) -> Iterator[tuple[Shape, re.Match[str]]]:
    """Every match of a shape in a text."""
    for shape in SHAPES:
        if any(mark in text for mark in shape.marks):
            for match in re.finditer(shape.pattern, text):
                yield shape, match


def projects(text: str, *, about: str = "") -> list[tuple[str, str]]:
    """Addresses of hosted projects in a text, each with what it is; ``about`` is the key beside it.

    A bare run of twenty letters counts where the text or the key speaks of Supabase or of a project.
    """
    found: list[tuple[str, str]] = []
    if ".supabase." in text:
        found += [(value, "the address of a Supabase project") for value in re.findall(_SUPABASE, text)]
    if any(host in text for host in _HOSTS):
        found += [(value, "the address of a hosted database") for value in re.findall(_HOSTED, text)]
    low = f"{text} {about}".lower()
    if len(text) >= 20 and ("supabase" in low or "project" in low):
        taken = {value for value, _ in found}
        bare = (value for value in re.findall(_REFERENCE, text) if value not in taken)
        found += [(value, "the reference of a Supabase project") for value in bare]
    return found
