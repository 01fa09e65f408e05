"""A pytest plugin: fails the test that leaves a permit of a semaphore behind.

``exai_sem`` is a fixture and a marker, and an ini option for all tests; the marker takes ``grace_s``
(seconds that threads get to give theirs back, 1 by default) and ``ignore`` (patterns of ``file:line`` or of
function names, one or several). A permit counts as left once the test's fixtures are torn down, so that a
loop that cancels its tasks has had its say; pytest shows it as an error at teardown. What a fixture of a
class, a module or the session takes while it is set up counts once that is torn down.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from exai_ops.sem.watching import Keeps, Left, Watch

NAME: Final = "exai_sem"
_GRACE_S: Final = 1.0
_LISTS: Final = (list, tuple, set, frozenset)
_TAKES: Final = f"{NAME}(grace_s=1.0, ignore=())"
_WATCH: Final = pytest.StashKey["tuple[Watch, ExitStack]"]()
_KEEPS: Final[pytest.StashKey[Keeps]] = pytest.StashKey()
_ALL: Final = pytest.StashKey[bool]()
_FAILED: Final = pytest.StashKey[bool]()
_NOW: Final = pytest.StashKey["Watch | None"]()


class _Options(NamedTuple):
    """What the marker says."""

    grace_s: float = _GRACE_S
    ignore: Sequence[str] = ()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(
        NAME, "fail every test that leaves a permit of a semaphore behind", type="bool", default=False
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and read the option. Raises UsageError for one that is neither true nor false."""
    text = f"{_TAKES}: fail when the test leaves a permit of a semaphore behind"
    config.addinivalue_line("markers", text)
    try:
        config.stash[_ALL] = bool(config.getini(NAME))
    except (ValueError, pytest.UsageError) as error:  # the one or the other, by pytest's version
        raise pytest.UsageError(f"{NAME}: {error}; write true or false") from None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Raise UsageError for a marker that says what cannot be done."""
    for item in items:
        for marker in item.iter_markers(NAME):
            _options(marker, item.nodeid)


@pytest.fixture
def exai_sem(request: pytest.FixtureRequest) -> Watch:
    """The watch over the test's semaphores; ``left()`` gives the permits that are out."""
    if _WATCH not in request.node.stash:  # asked for by name, in the test itself
        _begin(request.node)
    return request.node.stash[_WATCH][0]  # type: ignore[no-any-return]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Begin before the first fixture."""
    if _wanted(item):
        _begin(item)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test has failed itself, which may have been over its permits."""
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or (call.when == "call" and call.excinfo is not None)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Book what a fixture takes that other tests use too for that fixture."""
    keeps = request.config.stash.get(_KEEPS, None)
    if keeps is None or fixturedef.scope == "function":
        return (yield)
    with keeps.keeping(id(fixturedef)):
        return (yield)


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    """What such a fixture has not given back when it is torn down is left behind."""
    stash = request.config.stash
    watch = stash.get(_NOW, None)
    if watch is not None:
        watch.ended(id(fixturedef))
    elif _KEEPS in stash:
        stash[_KEEPS].kept.pop(id(fixturedef), None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Judge after the last fixture."""
    failed: BaseException | None = None
    result = None
    try:
        result = yield
    except BaseException as error:  # noqa: BLE001 - raised again below, with what was left behind
        failed = error
    left = _end(item) if _WATCH in item.stash else []
    if left:
        from exai_ops.sem.watching import said

        if failed is None:
            pytest.fail(said(left), pytrace=False)
        failed.add_note(said(left))
    if failed is not None:
        raise failed
    return result


def _wanted(item: pytest.Item) -> bool:
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    return NAME in fixtures or item.get_closest_marker(NAME) is not None or item.config.stash[_ALL]


def _begin(item: pytest.Item) -> None:
    from exai_ops.sem import watching

    keeps = item.config.stash.setdefault(_KEEPS, watching.Keeps())
    stack = ExitStack()
    watch = stack.enter_context(watching.watching(keeps))
    item.stash[_WATCH] = (watch, stack)
    item.config.stash[_NOW] = watch


def _end(item: pytest.Item) -> list[Left]:
    """End the watch of a test; what it left behind, and has not said itself by failing over it."""
    watch, stack = item.stash[_WATCH]
    known = watch.told and item.stash.get(_FAILED, False)
    with stack:
        left = [] if known else _left(item, watch)
    del item.stash[_WATCH]
    item.config.stash[_NOW] = None
    return left


def _left(item: pytest.Item, watch: Watch) -> list[Left]:
    marker = item.get_closest_marker(NAME)
    options = _Options() if marker is None else _options(marker, item.nodeid)
    left = watch.settled(options.grace_s)
    return [one for one in left if not any(_matches(one, pattern) for pattern in options.ignore)]


def _options(marker: pytest.Mark, where: str) -> _Options:
    """What a marker says. Raises UsageError."""
    strange = [*map(repr, marker.args), *(key for key in marker.kwargs if key not in _Options._fields)]
    grace_s, ignore = marker.kwargs.get("grace_s", _GRACE_S), marker.kwargs.get("ignore", ())
    several = list(ignore) if isinstance(ignore, _LISTS) else [None]
    patterns: list[Any] = [ignore] if isinstance(ignore, str) else several
    number = isinstance(grace_s, int | float) and isfinite(grace_s) and grace_s >= 0
    if strange:
        raise pytest.UsageError(f"{where}: the marker {NAME} does not take {strange[0]}: {_TAKES}")
    if not number:
        raise pytest.UsageError(f"{where}: {NAME}: grace_s is a number of seconds, not {grace_s!r}")
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise pytest.UsageError(f"{where}: {NAME}: ignore is a pattern or a list of them, not {ignore!r}")
    return _Options(grace_s, patterns)


def _matches(left: Left, pattern: str) -> bool:
    site = left.held.site
    places = (f"{site.file}:{site.line}", f"{site.file.rpartition('/')[2]}:{site.line}", site.function)
    return any(fnmatchcase(place, pattern) for place in places)
