"""Runs within the process that is looked at, in a thread of its own, on CPython 3.10 to 3.14.

Standard library alone. It reads, writes one file that was made for it, and drops all it held. Between two lines
of dashes is what is compiled at once; no stretch of work goes on for more than SLICE_S before others may run.
"""

# ----
import gc
import itertools
import os
import sys
import time
import types
from _collections import deque
from _functools import partial, _lru_cache_wrapper as CACHE

# What the process has not imported it has no objects of; an import of ours would stay.
THREADING = sys.modules.get("threading")
TASKS = sys.modules.get("asyncio.tasks")
TASK = (TASKS.Task,) if TASKS else ()
HANDLE = (sys.modules["asyncio.events"].Handle,) if TASKS else ()
SLICE_S = 0.0008
REST_S = 0.0006
ASK_S = 0.2
MOMENT_S = 0.004
TRIES = 15
CHUNK = 200
SMALL_HEAP_BLOCKS = 150_000  # up to here all objects are listed at once: 3 ms
FEW_FROZEN = 2000
MOST_FRAMES = 50_000
MOST_SHOWN = 300
MOST_STACK = 40
MOST_BYTES = 30_000_000
PLAIN = (int, str, bytes, float, bool, complex, type(None), bytearray, range)
CONTAINERS = (dict, list, tuple, set, frozenset)
EXITS = ("__aexit__", "__exit__")
GIVES = ("release", "release_on_behalf_of", "release_nowait", "__aexit__", "__exit__")
SIZED = (list, tuple, dict, set, frozenset, deque)
MOST_AT_ONCE = 400
MOST_YOUNG = 50_000  # as many of the collector's young objects are listed by one call: 2 ms
# A list of ours is gone through by the collector when it next looks at young objects, in whatever thread: 20 to 100 ns
# an entry, twice.
MOST_WAITING = 100_000
MODULE_DICT = vars(types.ModuleType)["__dict__"].__get__
LARGE = {}  # type -> the container that it is or derives from
SUSPENDED = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)


class OutOfTime(Exception):
    pass


class TooWide(Exception):
    pass


class Rest:
    """Lets others run."""

    def __init__(self, until, path):
        self.until = until
        self.path = path
        self.asked = 0.0
        self.last = time.perf_counter()
        self.used = time.thread_time()
        self.longest = 0.0
        self.busiest = 0.0
        self.not_before = 0.0

    def __call__(self):
        now = time.perf_counter()
        if now < self.not_before:
            return
        if now - self.last > SLICE_S:
            self.longest = max(self.longest, now - self.last)
            self.busiest = max(self.busiest, time.thread_time() - self.used)
            if now > self.until:
                raise OutOfTime
            time.sleep(REST_S)
            if now > self.asked:
                os.stat(self.path)  # gone with the one who asked: nothing is to be looked at any more
                self.asked = now + ASK_S
            self.used = time.thread_time()
            self.last = time.perf_counter()


# ----
def is_fragile(one):
    """Whether its end runs code of the program, which its own thread should run."""
    return (type(one) in SUSPENDED and frame_of(one) is not None) or hasattr(type(one), "__del__")


class Heap:
    """All objects, a few at a time; of what only we still hold, the fragile is left for the collector."""

    def __init__(self, rest):
        self.rest = rest
        self.loose = []
        self.founds = []
        self.count = 0
        self.whole = True

    def chunks(self):
        self.count = 0
        # what is frozen is in no generation that could be listed; 3.12 freezes a few hundred immortal objects itself
        if sys.getallocatedblocks() < SMALL_HEAP_BLOCKS and gc.get_freeze_count() < FEW_FROZEN:
            listed = gc.get_objects()
            self.rest()
            while listed:
                chunk = listed[-CHUNK:]
                del listed[-CHUNK:]
                yield from self.give(chunk)
        else:
            self.whole = False
            yield from self.walk()

    def give(self, chunk):
        self.count += len(chunk)
        yield chunk
        getrefcount = sys.getrefcount
        self.loose += [one for one in chunk if getrefcount(one) < 4 and is_fragile(one)]
        del chunk[:]
        self.rest()

    def walk(self):
        """From modules, classes, threads, tasks and young objects to all that they lead to.

        Deep before wide, and of large containers one at a time, so that what waits to be looked at stays short.
        """
        todo, large = [], []
        seen = Seen({id(todo), id(large), id(self), id(self.__dict__), id(self.loose), id(sys._getframe())})
        seen.skip.update((id(seen), id(seen.pages), id(seen.skip)))
        roots = (dict(sys.modules), frames(), object.__subclasses__(), tasks_of())
        todo += seen.fresh(roots)
        todo += seen.fresh(young())  # a list that is being built would hold itself
        roots = None
        pieces_ = iter(())
        while True:
            if not todo:
                piece = next(pieces_, None)
                if piece is not None:
                    todo += seen.fresh(piece)
                elif large:
                    pieces_ = pieces(*large.pop(), self)
                else:
                    return
                self.rest()
                continue
            some = todo[-CHUNK:]
            del todo[-CHUNK:]
            small = []
            for one in some:
                base = sized(one)
                if base:
                    large.append((one, base))
                else:
                    small.append(one)
            one = None
            for inner in contents(small, self):
                todo += seen.fresh(inner)
                self.rest()
            inner = None
            for one in small:
                if issubclass(type(one), type):
                    todo += seen.fresh(type.__subclasses__(one))
                elif type(one) is types.FrameType and one.f_back is not None:
                    todo += seen.fresh([one.f_back])
            one = None
            del small
            if len(todo) + len(large) > MOST_WAITING:
                raise TooWide
            yield from self.give(some)

    def leave(self):
        """What nothing else holds, in a ring: the collector takes it, in whatever thread it runs.

        What was found may hold itself, by way of lists of ours that were among the objects.
        """
        for found in self.founds:
            for some in found.referrers.values():
                del some[:]
            found.__dict__.clear()
        if self.loose and gc.isenabled():
            self.loose.append(self.loose)
        self.loose = []


class Seen:
    """Which objects have been come upon: a bit for each 16 bytes of memory, in what the collector does not track."""

    def __init__(self, skip):
        self.pages = {}
        self.skip = skip

    def fresh(self, some):
        """Those that are new, and that the collector tracks."""
        pages, found = self.pages, []
        is_tracked = gc.is_tracked
        for one in some:
            if is_tracked(one):
                at = id(one)
                page = pages.get(at >> 16)
                if page is None:
                    page = pages[at >> 16] = bytearray(512)
                place, bit = (at >> 7) & 511, 1 << ((at >> 4) & 7)
                if not page[place] & bit:
                    page[place] |= bit
                    if at not in self.skip:
                        found.append(one)
        return found


def frames():
    """The running frames of all threads but ours, which would hold itself."""
    own = sys.modules["_thread"].get_ident()
    return [frame for ident, frame in sys._current_frames().items() if ident != own]


def young():
    """What the collector has not yet found to last, where that cannot be so many that to list them takes long."""
    first, second = gc.get_threshold()[:2]
    if not gc.isenabled() or not 0 < first <= MOST_YOUNG:
        return []
    older = gc.get_objects(generation=1) if first * max(second, 1) <= MOST_YOUNG else []
    newer = gc.get_objects(generation=0)
    newer += older
    return newer


def sized(one):
    """The container that a large one is or derives from, else False."""
    kind = type(one)
    base = LARGE.get(kind)
    if base is None:
        base = LARGE[kind] = next(
            (base for base in (*SIZED, types.ModuleType) if issubclass(kind, base)), False
        )
    return base if base and base is not types.ModuleType and base.__len__(one) > MOST_AT_ONCE else False


def contents(some, heap):
    """What they refer to, a few hundred at a time."""
    small = []
    for one in some:
        base = sized(one)
        if base:
            yield from pieces(one, base, heap)
        elif LARGE[type(one)] is types.ModuleType:
            # its names alone: what _asyncio of 3.12 tells the collector has been freed
            yield [MODULE_DICT(one)]
        elif type(one) is CACHE and one.cache_info().currsize > MOST_AT_ONCE:
            heap.whole = False  # its entries are told in one call, however many they are
        else:
            small.append(one)
            if len(small) == 40:
                yield gc.get_referents(*small)
                small = []
    yield gc.get_referents(*small)


def pieces(one, base, heap):
    """What a large container holds; of one that changes all the while perhaps not all."""
    if base in (list, tuple):
        for at in range(0, base.__len__(one), MOST_AT_ONCE):
            yield base.__getitem__(one, slice(at, at + MOST_AT_ONCE))
        return
    for _ in range(3):
        try:
            for views in (base.keys, base.values) if base is dict else (base.__iter__,):
                yield from slices(iter(views(one)))
            return
        except RuntimeError:
            piece = inner = None
    heap.whole = False


def slices(inner):
    while piece := list(itertools.islice(inner, MOST_AT_ONCE)):
        yield piece


def keys_of(mapping, value, rest):
    """The keys under which a dict has a value; what of it changes meanwhile is told as far as it was seen."""
    found = []
    try:
        for piece in slices(iter(dict.items(mapping))):
            found += [key for key, other in piece if other is value]
            del piece
            rest()
    except RuntimeError:
        pass
    return found


def tasks_of():
    """Pending and done tasks that asyncio knows, of all loops."""
    found = []
    for name in ("_scheduled_tasks", "_eager_tasks", "_all_tasks"):
        known = getattr(TASKS, name, None)
        for reference in list(getattr(known, "data", None) or known or ()):
            task = reference() if callable(reference) else reference
            if task is not None:
                found.append(task)
    return found


# ----
def kinds():
    """{class: how the library calls it}, subclasses too."""
    roots = []
    for module, names in (
        ("asyncio.locks", ("BoundedSemaphore", "Semaphore", "Lock")),
        ("threading", ("BoundedSemaphore", "Semaphore")),
        ("anyio._core._synchronization", ("Semaphore",)),
        ("anyio._backends._asyncio", ("Semaphore", "CapacityLimiter")),
    ):
        for name in names:
            one = vars(sys.modules.get(module, types)).get(name)
            if isinstance(one, type):
                roots.append((one, module.partition(".")[0] + "." + name))
    found = {}
    for root, name in roots:
        todo = [root]
        while todo:
            one = todo.pop()
            if one not in found:
                found[one] = name
                todo += type.__subclasses__(one)
    return found


def plain(one):
    """An instance's own attributes, without running code of its class."""
    found = {}
    try:
        found.update(object.__getattribute__(one, "__dict__"))
    except (AttributeError, TypeError, ValueError):
        pass
    for kind in type(one).__mro__:
        for name, member in list(vars(kind).items()):
            if type(member) is types.MemberDescriptorType:
                try:
                    found[name] = member.__get__(one)
                except (AttributeError, TypeError):
                    pass
    return found


def number(value):
    return value if type(value) in (int, float) and value == value and abs(value) < 1 << 60 else None


def read(one, kind):
    """(value, bound, waiting futures or locks), None when it is not as it should be."""
    held = plain(one)
    waiting = held.get("_waiters") or ()
    if kind == "asyncio.Lock":
        return 0 if held.get("_locked") else 1, 1, list(waiting)
    if kind == "anyio.CapacityLimiter":
        total = held.get("_total_tokens")
        if number(total) is None or "_borrowers" not in held:
            return None
        return int(total) - len(held["_borrowers"]), int(total), list(held.get("_wait_queue") or ())
    value = number(held.get("_value"))
    if value is None:
        return None
    if kind.startswith("threading"):
        condition = held.get("_cond")
        waiting = () if condition is None else plain(condition).get("_waiters") or ()
        return value, number(held.get("_initial_value")), list(waiting)
    if kind.startswith("anyio"):
        return value, number(held.get("_max_value")), list(waiting)
    bound = held.get("_bound_value")
    if bound is None and "_bounded" in held:
        bound = held.get("bound")
    return value, number(bound), list(waiting)


def future_of(waiting):
    """Of an event, the future that its first waiter waits for."""
    for _ in range(3):
        held = plain(waiting)
        inner = held.get("_event")
        if inner is None:
            waiters = held.get("_waiters")
            return waiters[0] if waiters else waiting
        waiting = inner
    return waiting


# ----
class Raw(str):
    """JSON already: text is no business of the collector, which many small lists would set off in our thread."""

    __slots__ = ()


def raw(one):
    return Raw("".join(encoded(one)))


class Found:
    """What one pass over the heap comes upon."""

    def __init__(self):
        self.calls = []
        self.tasks = []
        self.methods = []
        self.functions = []
        self.handles = []
        self.referrers = {}


def survey(heap, wanted):
    """The referrers of wanted objects, and what may run later."""
    found = Found()
    heap.founds.append(found)
    sorts = {}
    wanted_ids = frozenset(wanted)
    for chunk in heap.chunks():
        for inner in contents(chunk, heap):
            if not wanted_ids.isdisjoint(map(id, inner)):
                note(chunk, wanted, found, heap)
                break
            heap.rest()
        inner = None
        for one in chunk:
            sort = sorts.get(type(one))
            if sort is None:
                sort = sorts[type(one)] = sort_of(type(one))
            if sort == "call":
                found.calls.append(one)
            elif sort == "function":
                if one.__closure__ and may_matter(one, wanted):
                    found.functions.append(one)
            elif sort == "method":
                if id(one.__self__) in wanted:
                    found.methods.append(one)
            elif sort == "handle":
                found.handles.append(one)
            elif sort == "task":
                found.tasks.append(one)
        one = None
    return found


def may_matter(function, wanted):
    """Whether a closure releases something, or keeps a wanted object."""
    code = function.__code__
    if "release" in code.co_names or "release" in code.co_freevars:
        return function.__globals__ is not globals()
    return any(id(one) in wanted for cell in function.__closure__ for one in gc.get_referents(cell))


def sort_of(kind):
    if kind in SUSPENDED:
        return "call"
    for one, sort in ((types.FunctionType, "function"), (types.MethodType, "method")):
        if kind is one:
            return sort
    for one, sort in ((HANDLE, "handle"), (TASK, "task")):
        if issubclass(kind, one):
            return sort
    return ""


def is_a(one, kinds_):
    """By its type alone: an object's own ``__class__`` may be code."""
    return issubclass(type(one), kinds_)


def note(chunk, wanted, found, heap):
    for one in chunk:
        if one is wanted or type(one) is types.FrameType:
            continue
        for inner in contents([one], heap):
            for other in inner:
                if id(other) in wanted:
                    found.referrers.setdefault(id(other), []).append(one)
            heap.rest()


# ----
def frame_of(call):
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(call, name, None)
        if frame is not None:
            return frame
    return None


def awaited(call):
    for name in ("cr_await", "gi_yieldfrom", "ag_await"):
        inner = getattr(call, name, None)
        if inner is not None:
            return inner
    return None


def chain(call):
    """Suspended calls from the outermost to the innermost."""
    found = []
    while call is not None and len(found) < 200:
        if type(call) not in SUSPENDED:
            inner = [one for one in gc.get_referents(call) if type(one) in SUSPENDED]
            if len(inner) != 1:  # an async generator's step leads to the generator; a future leads nowhere
                break
            call = inner[0]
            continue
        if frame_of(call) is None:
            break
        found.append(call)
        call = awaited(call)
    return found


def site(frame):
    code = frame.f_code
    return [
        code.co_filename,
        frame.f_lineno or code.co_firstlineno,
        getattr(code, "co_qualname", code.co_name),
    ]


def values(call):
    """What a suspended call holds: locals, cells' contents and its value stack."""
    found = gc.get_referents(call)
    frame = frame_of(call)
    if frame is not None and sys.version_info < (3, 11):
        found += gc.get_referents(frame)
    return opened(found)


def opened(some):
    cells = [one for one in some if type(one) is types.CellType]
    return some + [inner for cell in cells for inner in gc.get_referents(cell)]


def running(frame):
    """What a running frame's locals hold; a copy that the interpreter made for us is emptied again."""
    if not frame.f_code.co_flags & 1:  # of a module or class: the namespace itself
        return []
    held = frame.f_locals
    found = list(held.values())
    if type(held) is dict and sys.getrefcount(held) <= 3:
        held.clear()
    return found


def code_of(code):
    """A code object as plain data."""

    def constant(one):
        if one is None or type(one) in (bool, str) or (type(one) is int and abs(one) < 1 << 60):
            return one
        if type(one) is tuple and all(type(part) is str for part in one):
            return list(one)
        return {"code": one.co_name} if type(one) is types.CodeType else None

    return {
        "bytecode": code.co_code.hex(),
        "exceptiontable": getattr(code, "co_exceptiontable", b"").hex(),
        "names": code.co_names,
        "varnames": code.co_varnames,
        "cellvars": code.co_cellvars,
        "freevars": code.co_freevars,
        "consts": [constant(one) for one in code.co_consts],
        "flags": code.co_flags,
        "argcount": code.co_argcount,
        "kwonlyargcount": code.co_kwonlyargcount,
    }


# ----
class Look:
    """From the objects to the answer."""

    def __init__(self, rest):
        self.rest = rest
        self.heap = Heap(rest)
        self.sems = {}
        self.kinds = kinds()
        self.rows = {}
        self.homes = {}
        self.codes = {}
        self.frames = []
        self.used = set()
        self.waits = {}
        self.tasks = 0
        self.threads = 0

    def all(self):
        kinds_ = self.kinds
        for chunk in self.heap.chunks():
            for one in [one for one in chunk if type(one) in kinds_]:
                self.sems[id(one)] = one
            one = None
        self.threads = len(sys._current_frames()) - 1
        if not self.sems:
            self.tasks = sum(not task.done() for task in tasks_of())
            return
        first = self.state()
        found = survey(self.heap, self.sems)
        self.home(found)
        for _ in range(TRIES):
            before, after = self.moment(found)
            if before == after:
                break
        for at, row in self.rows.items():
            if before[at] != after[at]:
                row["why"] = "it changes faster than it can be read"
            elif first.get(at) != before[at]:  # what has come since may carry permits, and was not looked for
                self.hold(at, "object", "what has come since the look began", False, None)

    def state(self):
        """What tells whether a semaphore was used in between."""
        found = {}
        for at, one in self.sems.items():
            numbers = read(one, self.kinds[type(one)])
            found[at] = numbers and (
                numbers[0],
                [(id(one), getattr(one, "_state", "")) for one in numbers[2]],
            )
        return found

    def moment(self, found):
        """Tasks, threads and numbers at one moment, when that is short: nobody else runs meanwhile."""
        self.frames, self.used, self.waits, self.rows = [], set(), {}, {}
        time.sleep(REST_S)
        self.rest.used, self.rest.last = time.thread_time(), time.perf_counter()
        self.rest.not_before = self.rest.last + MOMENT_S
        before = self.state()
        self.calls(found)
        self.running_threads()
        self.numbers()
        self.carriers(found)
        after = self.state()
        self.rest.not_before = 0.0
        self.rest()
        return before, after

    def numbers(self):
        for at, one in self.sems.items():
            self.rest()
            base = self.kinds[type(one)]
            numbers = read(one, base)
            if numbers is None:
                continue
            value, bound, waiting = numbers
            waiters, granted = [], 0
            # before 3.11 a permit given to a waiter stays free until that runs; a lock's always does
            counts = base.endswith("Semaphore") and sys.version_info >= (3, 11)
            for future in waiting:
                if type(future) is tuple:
                    future = future[-1]
                done = base.startswith("asyncio") and getattr(future, "_state", "") == "FINISHED"
                granted += done and counts
                if not base.startswith("asyncio"):
                    future = future_of(future)
                if len(waiters) < MOST_SHOWN:
                    known = self.waits.get(id(future), '"","stack":[]')
                    waiters.append(Raw('{"name":' + known + ',"granted":' + ("true}" if done else "false}")))
            kind = type(one)
            own = "" if base.endswith("." + kind.__name__) else kind.__module__ + "." + kind.__qualname__
            self.rows[at] = {
                "address": at, "kind": base, "type_name": own, "value": value, "bound": bound, "waiters": waiters,
                "granted": granted, "waiting": len(waiting), "where": self.homes.get(at, ([], {}))[0][:8],
                "holders": [], "exits": 0, "why": "",
            }  # fmt: skip

    def home(self, found):
        """Names of each semaphore, and the objects that keep it under one."""
        containers = {
            id(one): one
            for some in found.referrers.values()
            for one in some
            if type(one) in CONTAINERS and not is_globals(one)
        }
        owners = survey(self.heap, containers).referrers if containers else {}
        for at, one in self.sems.items():
            names, places = [], {}
            for referrer in found.referrers.get(at, ()):
                self.rest()
                self.place(one, referrer, owners, names, places)
            self.homes[at] = (sorted(set(names)), places)
        found.referrers.clear()  # that nothing but a list is left of ours tells what has ended since
        for function in found.functions:
            for name, cell in zip(function.__code__.co_freevars, function.__closure__):
                content = gc.get_referents(cell)
                if content and id(content[0]) in self.sems:
                    self.homes[id(content[0])][0].append("closure %s.%s" % (function.__qualname__, name))
            self.rest()

    def place(self, one, referrer, owners, names, places):
        kind = type(referrer)
        if kind is dict:
            keys = keys_of(referrer, one, self.rest)
            if is_globals(referrer):
                for key in keys:
                    names.append("%s.%s" % (referrer.get("__name__"), key))
                    places[id(referrer)] = ("global", str(key), referrer)
                return
            for owner in owners.get(id(referrer), ()):
                if type(owner) in CONTAINERS or type(owner) in SUSPENDED or is_a(owner, types.FunctionType):
                    if is_globals(owner):
                        name = keys_of(owner, referrer, self.rest)
                        names += [
                            "dict %s[%.40r]" % (name[0], key) for key in keys if name and type(key) is str
                        ]
                    continue
                label = owner.__qualname__ if is_a(owner, type) else type(owner).__qualname__
                module = owner.__module__ if is_a(owner, type) else type(owner).__module__
                for key in keys:
                    names.append("%s.%s.%s" % (module, label, key))
                    places[id(owner)] = ("attr", str(key), owner)
        elif kind in CONTAINERS or kind in SUSPENDED or kind in (types.CellType, types.MethodType, partial):
            return
        elif kind.__flags__ & (1 << 9) or not kind.__module__.startswith(("builtins", "asyncio.futures")):
            for key, value in plain(referrer).items():
                if value is one:
                    names.append("%s.%s.%s" % (kind.__module__, kind.__qualname__, key))
                    places[id(referrer)] = ("attr", str(key), referrer)


def is_globals(one):
    return type(one) is dict and "__builtins__" in one and "__name__" in one


def calls(self, found):
    """Suspended calls with what they have to do with each semaphore."""
    tasks = {id(task): task for task in [*tasks_of(), *found.tasks] if not task.done()}
    seen = set()
    self.tasks = len(tasks)
    for task in tasks.values():
        coroutine = task.get_coro()
        line = chain(coroutine)
        stack = raw(stack_of(line)[:MOST_STACK])
        waits = getattr(task, "_fut_waiter", None)
        name = task.get_name() if hasattr(task, "get_name") else "task"
        if waits is not None:
            self.waits[id(waits)] = Raw(quoted(name) + ',"stack":' + stack)
        self.add(name, line, stack, True, seen)
        self.rest()
    for call in found.calls:
        if id(call) not in seen and frame_of(call) is not None and not is_running(call):
            line = chain(call)
            self.add(
                type(call).__name__ + " " + call.__qualname__,
                line,
                raw(stack_of(line)[:MOST_STACK]),
                False,
                seen,
            )
        self.rest()


def stack_of(line):
    return [site(frame) for frame in map(frame_of, line) if frame is not None]


def is_running(call):
    return any(getattr(call, name, False) for name in ("cr_running", "gi_running", "ag_running"))


def add(self, name, line, stack, driven, seen):
    for index, call in enumerate(line):
        if id(call) in seen or len(self.frames) >= MOST_FRAMES or frame_of(call) is None:
            continue
        seen.add(id(call))
        inner = frame_of(line[index + 1]) if index + 1 < len(line) else None
        self.frame(name, frame_of(call), values(call), inner, stack, driven)


def running_threads(self):
    names = {thread.ident: thread.name for thread in list(THREADING._active.values() if THREADING else ())}
    mine = sys.modules["_thread"].get_ident()
    for ident, frame in list(sys._current_frames().items()):
        if ident == mine:
            continue
        line = []
        while frame is not None and len(line) < 200:
            line.append(frame)
            frame = frame.f_back
        line.reverse()
        stack = raw([site(one) for one in line][-MOST_STACK:])
        for index, one in enumerate(line):
            inner = line[index + 1] if index + 1 < len(line) else None
            self.frame(
                "thread " + names.get(ident, str(ident)), one, opened(running(one)), inner, stack, True, True
            )
            self.rest()


def frame(self, name, frame_, held, inner, stack, driven, thread=False):
    """Keep a frame that has to do with a semaphore."""
    code = frame_.f_code
    if code.co_filename.endswith(("asyncio/locks.py", "/threading.py")) or "/anyio/_" in code.co_filename:
        return
    exits, links = {}, {}
    direct = set()
    for one in held:
        if id(one) in self.sems:
            direct.add(id(one))
    for one in {id(one): one for one in held if type(one) is types.MethodType}.values():
        at = id(one.__self__)
        if at in self.sems:
            if one.__name__ in EXITS:
                exits[at] = exits.get(at, 0) + 1
                self.used.add(id(one))
            else:
                links.setdefault(at, set()).add("given")
    if sys.version_info >= (3, 14):  # the function and the semaphore lie on the stack in its place
        held_functions = [one for one in held if type(one) is types.FunctionType and one.__name__ in EXITS]
        for at in direct:
            kind = type(self.sems[at])
            known = [vars(base)[word] for base in kind.__mro__ for word in EXITS if word in vars(base)]
            count = sum(any(one is other for other in known) for one in held_functions)
            if count:
                exits[at] = count
    speaks = thread or any("release" in word or "acquire" in word for word in code.co_names)
    if speaks:
        reached = self.reached(held, frame_)
        for at, (_, places) in self.homes.items():
            names = links.setdefault(at, set())
            for owner, (how, key, _) in places.items():
                if how == "global" and owner == id(frame_.f_globals) and key in code.co_names:
                    names.add("global:" + key)
                elif how == "attr" and owner in reached and key in code.co_names:
                    names.add("attr:" + key)
                elif how == "attr" and owner in reached:
                    names.add("via")
            if at in direct:
                names.add("direct")
            elif at in reached:
                names.add("via")
            if not names:
                del links[at]
    acquiring = []
    if inner is not None and inner.f_code.co_name in (
        "acquire",
        "__aenter__",
        "__enter__",
        "acquire_on_behalf_of",
    ):
        acquiring = sorted(exits) if len(exits) == 1 else []
        for one in gc.get_referents(inner) if sys.version_info < (3, 11) else running(inner):
            if id(one) in self.sems:
                acquiring = [id(one)]
    if exits or links:
        number_ = self.codes.get(code)
        if number_ is None:
            number_ = self.codes[code] = len(self.codes)
        self.frames.append(raw({
            "name": name, "code": number_, "lasti": frame_.f_lasti, "exits": list(exits.items()),
            "links": [[at, sorted(names)] for at, names in links.items()], "acquiring": acquiring, "stack": stack,
            "driven": driven, "thread": thread,
        }))  # fmt: skip


def reached(self, held, frame_):
    """Ids of what is one or two steps from a frame: its locals, globals that it names, and what these hold."""
    names = frame_.f_globals
    near = [one for one in held if type(one) not in PLAIN]
    near += [names[word] for word in frame_.f_code.co_names if word in names]
    found = {}
    for step in range(3):
        further = []
        for one in near[:400]:
            if id(one) in found or type(one) in PLAIN:
                continue
            found[id(one)] = 1
            if step < 2 and not is_a(
                one, (types.ModuleType, type, types.FunctionType, types.FrameType, *SUSPENDED)
            ):
                if not is_globals(one) and not is_a(one, TASK):
                    further += next(contents([one], self.heap))[:64]
        near = further
    return found


for one in (calls, add, running_threads, frame, reached):
    setattr(Look, one.__name__, one)


# ----
def carriers(self, found):
    """Callbacks and objects that may give back."""
    will = {}
    for handle in found.handles:
        if not handle.cancelled() and sys.getrefcount(handle) > 3:
            self.will_run(will, handle._callback, type(handle).__name__, handle._args or ())
    for task in found.tasks:
        if not task.done():
            for callback in getattr(task, "_callbacks", None) or ():
                self.will_run(will, callback[0] if type(callback) is tuple else callback, "done callback", ())
        self.rest()
    for method in found.methods:
        if sys.getrefcount(method) < 4:  # we alone still have it
            continue
        at = id(method.__self__)
        if id(method) not in self.used and method.__name__ in GIVES and at in self.rows:
            known = will.get(id(method))
            if method.__name__ in EXITS:
                self.rows[at]["exits"] += 1
            else:
                self.hold(
                    at,
                    "callback",
                    "%s (%s)" % (method.__name__, known or "kept"),
                    known,
                    1 if known else None,
                )
    for at, one in self.sems.items():
        if at in self.rows:
            for owner in self.homes[at][1].values():
                if owner[0] == "attr" and not is_a(owner[2], (type, types.ModuleType)):
                    self.lease(at, owner[2])
    for function in found.functions:
        self.closure(function, will)
        self.rest()


def will_run(self, will, callback, how, args):
    for _ in range(4):
        if type(callback) is not partial:
            break
        args = (*args, *callback.args)
        callback = callback.func
    will[id(callback)] = how
    for one in args:
        will[id(one)] = how


def hold(self, at, what, name, certain, permits=1):
    rows = self.rows[at]["holders"]
    if len(rows) < MOST_SHOWN * 10:
        rows.append({"what": what, "name": name, "stack": [], "permits": permits, "certain": bool(certain)})


def gives_back(kind):
    """(whether a class's own code releases, whether it acquires)."""
    words = set()
    for base in kind.__mro__[:-1]:
        for member in list(vars(base).values()):
            code = getattr(member, "__code__", None)
            if type(code) is types.CodeType:
                words.update(code.co_names)
    return "release" in words, "acquire" in words


def lease(self, at, owner):
    """An object that refers to the semaphore and whose class releases: it may have a permit."""
    releases, acquires = gives_back(type(owner))
    if releases:
        self.hold(at, "object", type(owner).__qualname__, False, None if acquires else 1)
    self.rest()


def closure(self, function, will):
    code = function.__code__
    if "release" not in code.co_names and "release" not in code.co_freevars:
        return
    for cell in function.__closure__:
        for one in gc.get_referents(cell):
            at = id(one.__self__) if type(one) is types.MethodType else id(one)
            if at in self.rows:
                how = will.get(id(function))
                # one that nothing is seen to call soon may still be called, by whoever keeps it
                self.hold(
                    at,
                    "callback",
                    function.__qualname__ + (" (%s)" % how if how else ""),
                    False,
                    1 if how else None,
                )


for one in (carriers, will_run, hold, lease, closure):
    setattr(Look, one.__name__, one)


# ----
def main(path):
    """Look, and write the answer as one line of JSON."""
    rest = Rest(time.perf_counter() + SECONDS, path)
    begun = time.perf_counter()
    look = Look(rest)
    answer = {}
    try:
        look.all()
        encoded = []
        for code in look.codes:
            encoded.append(code_of(code))
            rest()
        answer = {
            "python": sys.version.split()[0], "tasks": look.tasks, "threads": look.threads, "frames": look.frames,
            "semaphores": list(look.rows.values()), "codes": encoded, "objects": look.heap.count,
            "whole": look.heap.whole, "longest_s": rest.longest,
            "busiest_s": rest.busiest, "took_s": time.perf_counter() - begun,
        }  # fmt: skip
    except OutOfTime:
        answer = {"error": "it took more than %d s there" % SECONDS}
    except TooWide:
        answer = {
            "error": "its objects refer to so many others that to follow them would hold it up for long"
        }
    except BaseException as error:
        answer = {"error": "%s: %.200s" % (type(error).__name__, error)}
    look.heap.leave()
    look.__dict__.clear()
    write(path, answer, rest)


def encoded(one):
    """Plain data as JSON, piece by piece."""
    kind = type(one)
    if kind is Raw:
        yield one
    elif kind is str:
        yield quoted(one)
    elif one is None or kind is bool:
        yield "null" if one is None else "true" if one else "false"
    elif kind in (int, float):
        yield repr(one)
    elif kind is dict:
        before = "{"
        for key, value in one.items():
            yield before + quoted(key) + ":"
            yield from encoded(value)
            before = ","
        yield "}" if one else "{}"
    else:
        before = "["
        for value in one:
            yield before
            yield from encoded(value)
            before = ","
        yield "]" if one else "[]"


def quoted(text):
    text = str.__str__(text)[:4000]
    if not (text.isascii() and text.isprintable()) or '"' in text or "\\" in text:
        units = text.encode("utf-16-be", "surrogatepass")
        pairs = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
        text = "".join(
            chr(unit) if 31 < unit < 127 and unit not in (34, 92) else "\\u%04x" % unit for unit in pairs
        )
    return '"' + text + '"'


def write(path, answer, rest):
    """Into a file that is there, and is no link, in pieces; a line's end says that it is whole."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        left = MOST_BYTES
        rest.until = time.perf_counter() + SECONDS
        waiting = []
        for piece in encoded(answer):
            waiting.append(piece)
            if len(waiting) > 500:
                data = "".join(waiting).encode()
                waiting = []
                left -= os.write(descriptor, data)
                if left < 0:
                    return
                rest()
        os.write(descriptor, "".join(waiting).encode() + b"\n")
    finally:
        os.close(descriptor)
