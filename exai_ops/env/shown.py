"""How a value may be shown, and which values a file may have to itself."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
_LONGEST: Final = 40
_SECRET_WORDS: Final = frozenset({
    "KEY", "KEYS", "APIKEY", "TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "PWD",
    "CREDENTIAL", "CREDENTIALS", "DSN", "PRIVATE", "AUTH", "JWT", "SALT", "COOKIE", "SIGNATURE", "WEBHOOK",
    "PW", "PIN", "PSK", "SK", "BEARER", "UNSEAL", "MNEMONIC", "PASSCODE", "PASSKEY", "PAT", "CREDS",
    "APPRISE",
})  # fmt: skip
_SECRET_ENDS: Final = (
    "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "SECRET", "SECRETS", "TOKEN", "CREDENTIALS", "APIKEY",
    "SECRETKEY", "PRIVATEKEY", "ACCESSKEY", "AUTHKEY", "SIGNINGKEY", "ENCRYPTIONKEY", "MASTERKEY", "PWD",
)  # fmt: skip
"""How words end that were joined: ``PGPASSWORD``."""
_PASS_WORDS: Final = frozenset({
    "DBPASS", "SSHPASS", "USERPASS", "REDISPASS", "ROOTPASS", "ADMINPASS", "MYPASS", "PGPASS", "DBPW",
})  # fmt: skip
"""``PASS`` ends other words too: BYPASS, COMPASS."""
_SECRET_PAIRS: Final = frozenset({
    ("OTP", "SEED"), ("TOTP", "SEED"), ("HOTP", "SEED"), ("MFA", "SEED"), ("WALLET", "SEED"),
    ("RECOVERY", "PHRASE"), ("SEED", "PHRASE"), ("SECRET", "PHRASE"), ("BACKUP", "PHRASE"),
    ("RECOVERY", "CODE"), ("RECOVERY", "CODES"), ("BACKUP", "CODES"),
    ("API", "TOKENS"), ("ACCESS", "TOKENS"), ("AUTH", "TOKENS"), ("BEARER", "TOKENS"), ("BOT", "TOKENS"),
    ("REFRESH", "TOKENS"), ("SESSION", "TOKENS"), ("USER", "TOKENS"), ("SERVICE", "TOKENS"),
})  # fmt: skip
"""Last two words of a name, of which neither says enough alone."""
_NO_SECRETS: Final = frozenset({"GPIO_PIN", "LED_PIN"})
_WHICH: Final = frozenset({
    "PROD", "PRODUCTION", "DEV", "DEVELOPMENT", "STAGING", "STAGE", "TEST", "QA", "UAT", "LIVE", "SANDBOX",
    "NEW", "OLD", "PRIMARY", "SECONDARY", "CURRENT", "PREVIOUS", "NEXT", "LOCAL", "DEFAULT", "FALLBACK",
    "BASE", "VALUE", "MAIN", "RO", "RW", "V", "",
})  # fmt: skip
"""Last words that only say which one it is: DB_PASSWORD_PROD, SECRET_KEY_BASE."""
_SOFT: Final = frozenset({"PRIVATE", "AUTH", "JWT", "COOKIE", "SIGNATURE", "WEBHOOK", "DSN", "SALT"})
"""Words of secrets that, with another behind them, are mostly about settings: AUTH_LOCAL."""
_ABOUT: Final = frozenset({
    "ALGORITHM", "ALGORITHMS", "ALG", "HEADER", "HEADERS", "ISSUER", "AUDIENCE", "TTL", "TYPE", "SCHEME",
})  # fmt: skip
"""Last words of names that say something of a secret: JWT_ALGORITHM, API_KEY_HEADER."""
_QUERY: Final = r"[?&;#]([A-Za-z][A-Za-z0-9_.-]*)=[^&\s#]"  # compiled when first tried
_MEASURES: Final = frozenset({
    "TIMEOUT", "SEC", "SECS", "SECOND", "SECONDS", "MS", "MINUTES", "HOURS", "DAYS", "INTERVAL", "TTL",
    "DELAY", "BACKOFF", "PORT", "SIZE", "MAX", "MIN", "COUNT", "LIMIT", "LEN", "LENGTH", "BYTES", "KB", "MB",
    "GB", "CAPACITY", "RATE", "THRESHOLD", "WINDOW", "RETRIES", "RETRY", "INFLIGHT", "CONCURRENT", "PARALLEL",
    "WORKERS", "CONNECTIONS", "TOKENS",
})  # fmt: skip
_LASTING: Final = frozenset({
    "TIMEOUT", "SEC", "SECS", "SECOND", "SECONDS", "MS", "MINUTES", "HOURS", "DAYS", "INTERVAL", "TTL",
    "DELAY", "EXPIRY", "EXPIRE", "EXPIRES", "AGE", "LEN", "LENGTH", "SIZE", "BYTES", "PORT", "RETRIES",
    "LIMIT",
})  # fmt: skip
"""What a number may measure about a secret."""
_HOST_WORDS: Final = frozenset({
    "HOST", "HOSTS", "HOSTNAME", "ADDRESS", "ADDR", "BIND", "ORIGIN", "ORIGINS", "DOMAIN",
})  # fmt: skip
_SWITCHES: Final = frozenset({"true", "false", "yes", "no", "on", "off"})
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_CREDENTIALS: Final = re.compile(r"//[^/\s]*@|//[^/\s:@]*:(?![0-9]{1,5}/)[^\s@]+@")
_SCHEMES: Final = frozenset({
    "amqp", "amqps", "mysql", "mariadb", "postgres", "postgresql", "redis", "rediss", "mongodb", "ftp",
    "ftps", "smtp", "smtps", "ldap", "ldaps",
})  # fmt: skip
_INSIDE: Final = (  # compiled when first tried, as is the next
    r"(?i)(?:^|[^a-z])(?:[a-z0-9]+[_-])*(?:password|passwd|passphrase|pwd|pass|secret|requirepass|api[_-]?key"
    r"|accountkey|sharedaccesskey|secretkey|accesskey|auth[_-]?token|access[_-]?token)\\?[\"']?\s*[=:]\s*"
    r"\\?[\"']?(?![$<{]|[0-9]{1,5}(?:/|$))[^\s\"';,}]"
)
_USER: Final = r"(?:^|[\s\"'=:])(?!mailto:)[\w.+-]+:[^\s:/@]+@(?!sha(?:256|512):)[A-Za-z0-9]"
_KNOWN_SHAPES: Final = re.compile(r"(?:^|[^A-Za-z])(?:sk-|eyJ|gh[opsu]_|xox[abp]-|AKIA|glpat-|-----BEGIN)")
_PLACEHOLDER: Final = re.compile(
    r"your[\W_]|change[\W_]?me|replace[\W_]?(?:me|with|this)|placeholder|<[^<>]+>|x{4,}$|(?<![A-Za-z0-9])x{8,}(?![A-Za-z0-9])|\.\.\.$|\bexample\.(?:com|org|net)"
    r"|(?:put|insert|enter)[\W_].*[\W_]here|\bTODO\b|\bhere$",
    re.IGNORECASE,
)
_URL: Final = r"(?s)([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)"  # compiled when first tried
_ABSOLUTE: Final = re.compile(r"/|[A-Za-z]:[\\/]|\\\\|~/")


def is_secret_key(key: str) -> bool:
    """Whether a key is named as that of a secret: its last word says so, or the last two."""
    words = _words(key)
    if key in _NO_SECRETS:
        return False
    if _is_secret_word(words[-1]) or tuple(words[-2:]) in _SECRET_PAIRS:
        return True
    last = len(words)
    while last and words[last - 1].rstrip("0123456789") in _WHICH:
        last -= 1
    words = [word.rstrip("0123456789") for word in words[:last]]
    named = bool(words) and words != ["KEY"] and words[-1] not in _SOFT and _is_secret_word(words[-1])
    return named or tuple(words[-2:]) in _SECRET_PAIRS


def is_placeholder(value: str) -> bool:
    """Whether a value only stands for one: empty, ``your_key_here``, ``<token>``, ``changeme``."""
    return not value.strip() or _PLACEHOLDER.search(value) is not None


def looks_secret(value: str) -> bool:
    """Whether a value has the shape of a secret, whatever its key: when in doubt it has."""
    if _CREDENTIALS.search(value) or _KNOWN_SHAPES.search(value) or ("=" in value and _has_token(value)):
        return True
    if ("=" in value or ":" in value) and _holds_password(value):
        return True
    if " -" in value or value[:1] == "-":
        from exai_ops.env.spoken import without_options

        if without_options(value) != value:
            return True
    return any(_dense(chunk) for chunk in re.split(r"[^A-Za-z0-9+=]+", value))


def _holds_password(value: str) -> bool:
    """Whether a value has a password in it: ``password=...``, ``user:...@host``, ``amqp:user:...``."""
    low = value.lower()
    if any(word in low for word in ("pass", "pwd", "secret", "key", "token")) and re.search(_INSIDE, value):
        return True
    if "@" in value and re.search(_USER, value):
        return True
    scheme, _, rest = low.partition(":")
    user, colon, password = rest.partition(":")
    return scheme in _SCHEMES and bool(colon and password) and "/" not in user and "@" not in user


def shown(key: str, value: str) -> str:
    """A value as a message may say it: quoted, cut after 40 characters; ``***`` where it may be a secret."""
    if not value:
        return "nothing"
    named = is_secret_key(key) or _speaks_of_secrets(key)
    harmless = _is_plain(key, value, named=named)
    if not harmless and (named or looks_secret(value) or closes_early(value)):
        return MASK
    return repr(value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "...")


def measures(key: str) -> bool:
    """Whether a name says that its number measures something; of a secret, only how long it is or lasts."""
    words = _words(key)
    if _speaks_of_secrets(key):
        return words[-1] in _LASTING
    return not _MEASURES.isdisjoint(words)


def _is_plain(key: str, value: str, *, named: bool) -> bool:
    """Whether a value is a switch, or a number that is no secret; ``named``: the key speaks of one."""
    if is_secret_key(key):
        return False
    number = _NUMBER.fullmatch(value) is not None
    return value.lower() in _SWITCHES or (number and (not named or measures(key)))


def closes_early(value: str) -> bool:
    """Whether a value begins with a quote that ends before it does: who reads less sees a piece of it."""
    return value[:1] in ("'", '"', "`") and value.find(value[0], 1) not in (-1, len(value) - 1)


def may_name(name: str, text: str, *, secret: bool) -> bool:
    """Whether what a ``$name`` in a text refers to may be named; ``secret``: the text may be one.

    A password that holds a dollar looks like a reference: one that is glued to other letters or digits, or
    has neither braces nor the shape of a variable's name, is taken for a piece of it.
    """
    found = re.search(rf"(?<![A-Za-z0-9])\$(\{{?){name}(?![A-Za-z0-9_])(?!\}}[A-Za-z0-9])", text)
    if found is None:
        return False
    return bool(found[1]) or (name.isupper() and not secret)


def said(text: str) -> str:
    """A comment or a title as a message may say it: words that look like secrets masked, cut at 60."""
    from exai_ops.env.spoken import masked

    words = (MASK if looks_secret(word) else word for word in masked(text).split())
    whole = " ".join(words)
    return whole if len(whole) <= 60 else whole[:57] + "..."


def may_differ(key: str, example: str, live: str) -> str | None:
    """Why a key may rightly have another value in the live file than in the example, or None."""
    if is_placeholder(example) or (live.strip() and is_placeholder(live)):
        return "placeholder"
    if is_secret_key(key) or _CREDENTIALS.search(live) or _CREDENTIALS.search(example):
        return "secret"
    if not _HOST_WORDS.isdisjoint(_words(key)) or _other_host(example, live):
        return "host"
    return "path" if _ABSOLUTE.match(example) and _ABSOLUTE.match(live) else None


def _is_secret_word(word: str) -> bool:
    return word in _SECRET_WORDS or word in _PASS_WORDS or word.endswith(_SECRET_ENDS)


def _speaks_of_secrets(key: str) -> bool:
    """Whether some word of a key is a secret's, and the last one does not say that it is another thing."""
    words = _words(key)
    return words[-1] not in _ABOUT and key not in _NO_SECRETS and any(map(_is_secret_word, words))


def _has_token(value: str) -> bool:
    """Whether the query of a URL has a secret: ``?token=...``."""
    if not any(mark in value for mark in "?&;#"):
        return False
    return any(name.lower() in ("sig", "code") or is_secret_key(name) for name in re.findall(_QUERY, value))


def _words(key: str) -> list[str]:
    """The words of a name: of ``apiKey_v2``, API, KEY and V2."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).upper().replace("-", "_").replace(".", "_").split("_")


def _dense(chunk: str) -> bool:
    """Whether a run of letters and digits is too long, or too mixed for its length, to be a word."""
    mixed = any(c.isdigit() for c in chunk) and any(c.isalpha() for c in chunk)
    return len(chunk) >= 20 or (len(chunk) >= 12 and mixed)


def _other_host(example: str, live: str) -> bool:
    """Whether two URLs differ in the host alone."""
    if "://" not in example or "://" not in live:
        return False
    one, two = re.fullmatch(_URL, example), re.fullmatch(_URL, live)
    return one is not None and two is not None and (one[1], one[3]) == (two[1], two[3])
