"""A secret in every place that a file has never comes out, in no format, not even in part."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from exai_ops.cli import main
from exai_ops.render import RENDERERS
from exai_ops.settings import VARIABLES

CANARY = "Zq8vXw2L" + "p8sRb7kQ" + "9tYh3nMd5"
OTHER = CANARY[::-1]
_PIECE = 7

NAMES = [name for variable in VARIABLES for name in variable.names]
PLACES = {
    "every setting": "".join(f"{name}={CANARY}\n" for name in NAMES),
    "every setting, as a URL": "".join(f"{name}=https://user:{CANARY}@host/{OTHER}\n" for name in NAMES),
    "every setting, twice": "".join(f"{name}={CANARY}\n{name}={OTHER}\n" for name in NAMES),
    "keys that are removed": f"MESSAGE_BUS_KEY={CANARY}\nMETRICS_PORT={CANARY}\n",
    "misspelt keys": f"KIMI_API_KYE={CANARY}\nEXAI_WS_TOKN={CANARY}\nEXAI_NO_SUCH={CANARY}\n",
    "timeouts": "".join(f"{name}={CANARY}\n" for name in ("TOOL_TIMEOUT_SECS", "DAEMON_TIMEOUT_SECS")),
    "passwords": f"REDIS_PASSWORD={CANARY}\nREDIS_URL=redis://default:{OTHER}@redis:6379/0\n",
    "an address": f"EXAI_WS_HOST={CANARY}\nEXAI_WS_TOKEN=\n",
    "ports": f"A_PORT={CANARY}\nB_PORT={CANARY}\nPORT={CANARY}\n",
    "the same twice": f"A_TOKEN={CANARY}\nB_TOKEN={CANARY}\nC_SECRET={CANARY[:12]}\nD_SECRET={CANARY[:12]}\n",
    "a placeholder": f"API_KEY=your-{CANARY}-here\nA_URL=https://{CANARY}.example.com\n",
    "shapes": f"A=sk-{CANARY}{OTHER}\nB=ghp_{CANARY}{OTHER}\nC=AKIA{CANARY.upper()[:16]}\n",
    "comments": f"# API_KEY={CANARY}\nA=1  # was sk-{CANARY}\n# redis://u:{CANARY}@h\n# password: {CANARY}\n",
    "a project": "SUPABASE_URL=https://qzjtwmvkxnpylrdghbfc.supabase.co\n# project qzjtwmvkxnpylrdghbfc\n",
    "quotes": f'API_KEY="{CANARY}"\nB_KEY=\'{CANARY}\'\nC_KEY="{CANARY}\nD_KEY=1\n',
    "several lines": f'A_KEY="-----BEGIN PRIVATE KEY-----\n{CANARY}{OTHER}\n{OTHER}=\n-----END KEY-----"\n',
    "lines of a key": f"PRIVATE_KEY=-----BEGIN\n{CANARY}{OTHER}=\n{OTHER}{CANARY}\n",
    "references": f"A_KEY={CANARY}\nB_KEY=${{A_KEY}}\nC_KEY=$A_KEY{OTHER}\nD=${{NO:-{CANARY}}}\n",
    "no value": f"{CANARY}\nexport {OTHER}\n{CANARY}{OTHER}=1\n",
    "a comment in place of a value": f"API_KEY= # {CANARY}\nEXAI_WS_PORT= # {CANARY}\n",
}
COMPOSE = """\
services:
  daemon:
    image: exai:1
    env_file: .env.docker
    environment:
      EXAI_WS_HOST: 0.0.0.0
      X: ${EXAI_WS_TOKEN}
  redis:
    image: redis:7
    env_file: .env.docker
"""


def pieces(secret: str) -> list[str]:
    return [secret[at : at + _PIECE] for at in range(len(secret) - _PIECE + 1)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("import os\nos.environ['API_KEY']\nos.getenv('HIDDEN_KEY')\n")
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", RENDERERS)
def test_in_a_check(folder: Path, capsys: pytest.CaptureFixture[str], place: str, name: str) -> None:
    for file in (".env.example", ".env.docker", ".env"):
        (folder / file).write_text(PLACES[place], encoding="utf-8")
    code = main(["env", "check", "--only", "ENV2,ENV3", "--code", "src", "--format", name])
    said = capsys.readouterr()
    assert code in (0, 1)
    text = said.out + said.err
    for piece in (*pieces(CANARY), *pieces(OTHER), *pieces("qzjtwmvkxnpylrdghbfc")):
        assert piece not in text
        assert piece.upper() not in text


def test_in_a_check_with_every_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place, text in PLACES.items():
        for file in (".env.example", ".env.docker"):
            (folder / file).write_text(text, encoding="utf-8")
        main(["env", "check", "--code", "src", "--compose", "docker-compose.yml"])
        said = capsys.readouterr()
        found = [piece for piece in pieces(CANARY) + pieces(OTHER) if piece in said.out + said.err]
        assert not found, place


def test_where_git_tracks_the_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "init", "-q"], timeout=30, check=True, cwd=folder)
    for text in PLACES.values():
        for file in (".env.example", ".env.docker", ".env"):
            (folder / file).write_text(text, encoding="utf-8")
        subprocess.run(["git", "add", "-A"], timeout=30, check=True, cwd=folder)
        for command in (["check", "--only", "ENV3"], ["scan"]):
            main(["env", *command])
            said = capsys.readouterr()
            assert not [piece for piece in pieces(CANARY) + pieces(OTHER) if piece in said.out + said.err]
