"""Which names are those of secrets, and what of a value may be said."""

from __future__ import annotations

from pathlib import Path

import pytest

from exai_ops.cli import main
from exai_ops.env.document import parse
from exai_ops.env.masking import Mask
from exai_ops.env.patch import patch
from exai_ops.env.rules import RULES
from exai_ops.env.scan import in_file
from exai_ops.env.shown import MASK, is_placeholder, is_secret_key, shown
from exai_ops.settings import STACK_VARIABLES, VARIABLES

from .cases import context, found

SECRETS = [
    "PGPASSWORD", "DBPASS", "DBPASSWORD", "REDISPASSWORD", "MYSQLPASSWORD", "SECRETKEY",
    "AUTHTOKEN", "ACCESSTOKEN", "CLIENTSECRET", "SSHPASS", "DBPWD", "DB_PW", "USERPASSWD",
    "ADMIN_PIN", "WIFI_PSK", "OTP_SEED", "TOTP_SEED", "BEARER", "STRIPE_SK", "VAULT_UNSEAL",
    "RECOVERY_PHRASE", "API_KEY", "apiKey", "db.password", "MYSQL_PWD", "clientSecret", "APIKEY",
    "DB_PASSWORD2", "DB_PASSWD1", "USER_PASSWORDS", "API_TOKENS", "PASSCODE", "GITHUB_PAT", "AWSSECRETKEY",
    "JWTSECRET", "ENCRYPTIONKEY", "PRIVATEKEY", "ADMINPASS", "HTPASSWD", "CREDS", "MNEMONIC", "SEED_PHRASE",
    "PIN", "DB_PASSWORD_PROD", "SECRET_KEY_BASE", "CELERY_BROKER_PASSWORD1", "DB_PASS_OLD_2", "API_KEY_2",
]  # fmt: skip
OTHERS = [
    "JWT_ALGORITHM", "API_KEY_HEADER", "MAX_TOKENS", "TOKENIZER", "MONKEY", "BYPASS", "COMPASS",
    "RANDOM_SEED", "GPIO_PIN", "PHRASE", "DISK", "TASK", "REGION", "KEYSPACE", "ERROR_CODE",
    "SPINNER", "JWT_ISSUER", "TOKEN_TYPE", "MAX_TOKENS_2", "OUTPUT_TOKENS", "PATTERN", "BASE", "V2", "TEST",
]  # fmt: skip


@pytest.mark.parametrize("key", SECRETS)
def test_names_of_secrets(key: str) -> None:
    assert is_secret_key(key)
    assert shown(key, "sunny-river") == MASK
    spots = list(in_file(".env", f"{key}=Xk3vN8qLr7Tq2XwB5mHc9Yd4\n"))
    assert [spot.hit.key for spot in spots] == [key]


@pytest.mark.parametrize("key", OTHERS)
def test_other_names(key: str) -> None:
    assert not is_secret_key(key)
    assert shown(key, "sunny-river") == "'sunny-river'"
    assert shown(key, "Xk3vN8qLr7Tq2XwB5mHc9Yd4") == MASK


def test_the_settings_agree() -> None:
    """What is named like a secret is one, and the other way round; the stack's own have no kind."""
    known = {variable.name: variable.kind == "secret" for variable in VARIABLES}
    assert {name: is_secret_key(name) for name in known} == known
    assert {v.name for v in STACK_VARIABLES if is_secret_key(v.name)} == {
        "REDIS_PASSWORD",
        "REDIS_COMMANDER_PASSWORD",
    }


QUERIES = {
    "https://h/x?token=abc24&b=1": True,
    "https://h/x?a=1&api_key=abc24": True,
    "https://h/x#access_token=abc24": True,
    "https://h/x?sig=abc24": True,
    "https://h/x?page=1&size=20": False,
    "https://h/x?token=": False,
    "a=b": False,
}


SHAPES = {
    "postgres://app:zq/slash99@db": True,
    "Server=db;User Id=sa;Password=sunny;": True,
    '{"password":"sunny"}': True,
    '{\\"password\\":\\"sunny\\"}': True,
    "host=db user=app password=sunny": True,
    "-u admin:sunny": True,
    "redis-server --requirepass sunny": True,
    "mysql -uroot -pSunny24": True,
    "amqp:app:sunny": True,
    "app:sunny@mq:5672": True,
    "http://auth:8080": False,
    "http://secret:8080/x": False,
    "http://h:8080/a@b": False,
    "redis:7@sha256:abcd": False,
    "registry:5000/x@sha256:abcd": False,
    "mailto:a@b.c": False,
    "git@github.com:a/b": False,
    "password=$PW": False,
    "-Xms1g -p 8080:80 -u 1000:1000": False,
    "10.0.0.1:80,10.0.0.2:80": False,
    "key:value": False,
}


@pytest.mark.parametrize(("value", "hidden"), SHAPES.items())
def test_passwords_inside_of_values(value: str, hidden: bool) -> None:
    assert shown("K", value) == (MASK if hidden else repr(value))


@pytest.mark.parametrize(("value", "hidden"), QUERIES.items())
def test_tokens_in_the_query_of_a_url(value: str, hidden: bool) -> None:
    assert shown("QUERY_URL", value) == (MASK if hidden else repr(value))


def test_a_token_in_a_query_is_not_in_a_diff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("QUERY_URL=https://h.acme.io/x?token=abc24&b=1\n")
    Path(".env.example").write_text("QUERY_URL=https://h.acme.io/x?token=sunny-river&b=1\n")
    main(["env", "diff", ".env", ".env.example"])
    main(["env", "check"])
    said = capsys.readouterr().out
    assert "abc24" not in said
    assert "sunny" not in said


PLACEHOLDERS = {
    "redis://default:xxxxxxxxxxxx@h:6379/0": True,
    "https://xxxxxxxxxxxxxxxxxxxx.supabase.co": True,
    "xxxx": True,
    "redis://default:kestrel@h:6379/0": False,
    "axxxxxxxxxb": False,
    "0xxxx1": False,
}


@pytest.mark.parametrize(("value", "expected"), PLACEHOLDERS.items())
def test_placeholders(value: str, expected: bool) -> None:
    assert is_placeholder(value) == expected
    assert bool(found(RULES, "ENV303", context(live=f"A_URL={value}\n"))) == expected


def test_rules_of_headings_are_no_values() -> None:
    text = "# === Secrets ===\n# --- API key ---\n# password: kestrel\nA=1\n"
    mask = Mask()
    assert [mask.comment(line) for line in text.splitlines()] == [
        "# === Secrets ===",
        "# --- API key ---",
        "# password: ***",
        "A=1",
    ]
    assert "# === Secrets ===" in patch(parse(text.encode()), parse(text.replace("A=1", "A=2").encode()))
