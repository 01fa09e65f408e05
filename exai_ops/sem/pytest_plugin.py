"""A pytest plugin: fails the test that leaves a permit of a semaphore behind.

``exai_sem`` is a fixture and a marker, and an ini option for all tests; the marker takes ``grace_s``
(seconds that threads get to give theirs back, 1 by default) and ``ignore`` (patterns of ``file:line`` or of
function names). A permit counts as left once the test's fixtures are torn down, so that a loop that cancels
its tasks has had its say; pytest shows it as an error at teardown.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from exai_ops.sem.watching import Left, Watch

NAME: Final = "exai_sem"
_GRACE_S: Final = 1.0
_WATCH: Final = pytest.StashKey["tuple[Watch, ExitStack]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(
        NAME, "fail every test that leaves a permit of a semaphore behind", type="bool", default=False
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    text = f"{NAME}(grace_s=1.0, ignore=()): fail when the test leaves a permit of a semaphore behind"
    config.addinivalue_line("markers", text)


@pytest.fixture
def exai_sem(request: pytest.FixtureRequest) -> Watch:
    """The watch over the test's semaphores; ``left()`` gives the permits that are out."""
    return request.node.stash[_WATCH][0]  # type: ignore[no-any-return]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Begin before the first fixture."""
    if _wanted(item):
        from exai_ops.sem.watching import watching

        stack = ExitStack()
        item.stash[_WATCH] = (stack.enter_context(watching()), stack)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Judge after the last fixture."""
    if _WATCH not in item.stash:
        return (yield)
    watch, stack = item.stash[_WATCH]
    with stack:
        result = yield
        left = _left(item, watch)
    del item.stash[_WATCH]
    if left:
        from exai_ops.sem.watching import said

        pytest.fail(said(left), pytrace=False)
    return result


def _wanted(item: pytest.Item) -> bool:
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    return NAME in fixtures or item.get_closest_marker(NAME) is not None or item.config.getini(NAME)


def _left(item: pytest.Item, watch: Watch) -> list[Left]:
    marker = item.get_closest_marker(NAME)
    options = {} if marker is None else marker.kwargs
    ignore: Sequence[str] = options.get("ignore", ())
    left = watch.settled(float(options.get("grace_s", _GRACE_S)))
    return [one for one in left if not any(_matches(one, pattern) for pattern in ignore)]


def _matches(left: Left, pattern: str) -> bool:
    site = left.held.site
    places = (f"{site.file}:{site.line}", f"{site.file.rpartition('/')[2]}:{site.line}", site.function)
    return any(fnmatchcase(place, pattern) for place in places)
