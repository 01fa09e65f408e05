"""What the tests of the stack share: npm's packages, the image's folders, containers that are ended."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from .container import SECRETS, Container, Image, Network, Start, load
from .dockerfile import build

NPM = Path(__file__).parent / "npm"


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What package-lock.json locks, installed once."""
    folder, lock = NPM / "node_modules", NPM / "package-lock.json"
    stamp = folder / "exai-lock.json"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=NPM, check=True, timeout=400)
        shutil.copy(lock, stamp)
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a service of the stack; all are in one network, and ended with the test."""
    with ExitStack() as stack:
        network = Network()
        stack.callback(network.close)

        def start(name: str, image: Image, env: Mapping[str, str] = SECRETS) -> Container:
            project = load(Path(tempfile.mkdtemp(dir=tmp_path)), env)
            container = Container(project.services[name], image, network, tmp_path)
            stack.callback(container.close)
            return container

        yield start


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of the Dockerfile, made once."""
    return build(tmp_path_factory.mktemp("image"))
