"""Runs under the target's own interpreter: where each field of an object lies, found by its content.

A data file for :mod:`exai_ops.sem.twin`, run with ``-I -S -E``; works unchanged on CPython 3.10 to 3.14. It
writes one line of JSON, ``{"layout": ..., "truth": ...}``, and lives until its standard input closes, so
that the reader can be tried on the known objects of ``truth``.
"""

import asyncio
import ctypes
import dis
import json
import struct
import sys
import threading
import types
import weakref
from collections import deque
from functools import partial

V = sys.version_info[:2]
TAGS = 3 if V >= (3, 14) else 0  # bits of a reference in a frame that are not of its address
layout = {}


class Missing(Exception):
    """A field was not found."""


def word(address):
    return ctypes.c_uint64.from_address(address).value


def int32(address):
    return ctypes.c_int32.from_address(address).value


def mappings():
    found = []
    with open("/proc/self/maps") as lines:
        for line in lines:
            parts = line.split(None, 5)
            low, high = (int(x, 16) for x in parts[0].split("-"))
            found.append((low, high, parts[1], parts[5].strip() if len(parts) > 5 else ""))
    return found


def mapped(address, size):
    return any(m[0] <= address and address + size <= m[1] and m[2][0] == "r" for m in mappings())


def raw(address, size):
    """Bytes at an address, or none when it is not mapped."""
    return ctypes.string_at(address, size) if mapped(address, size) else b""


def places(start, value, size, first=16, step=8):
    """Offsets at which an object holds a value."""
    read = word if step == 8 else int32
    return [o for o in range(first, size - step + 1, step) if read(start + o) == value]


def slots(start, value, size, first=16):
    """Like ``places``, of a reference in a frame, which may carry a tag."""
    return [o for o in range(first, size - 7, 8) if word(start + o) & ~TAGS == value]


def field(name, pairs, size, first=16, step=8):
    """The first offset at which each of the objects holds its value."""
    sets = [set(places(start, value, size, first, step)) for start, value in pairs]
    common = sorted(set.intersection(*sets))
    if not common:
        raise Missing(name)
    layout[name] = common[0]
    return common[0]


def pointed(name, start, size, wanted, span, first=16, bias=0, tags=0):
    """(offset of a pointer, offset behind it) so that what it points to holds the word ``wanted``."""
    for offset in range(first, size, 8):
        target = word(start + offset) + bias
        block = raw(target, span)
        for inner in range(0, len(block), 8):
            if struct.unpack_from("<Q", block, inner)[0] & ~tags == wanted:
                return offset, inner
    raise Missing(name)


class Plain:
    pass


class Slotted:
    __slots__ = tuple("s%d" % i for i in range(37))


class Mixed(Slotted):
    pass


class Text(str):
    pass


def where(address):
    """(file, offset from where the file is mapped first) of an address inside an image."""
    bases = {}
    last = None
    for low, high, _, name in mappings():
        if name.startswith("/"):
            bases.setdefault(name, low)
            last = name
        if low <= address < high:
            image = name if name.startswith("/") else last
            return image, address - bases[image]
    raise Missing("image")


def find_image():
    image, _ = where(id(type))
    layout["image"] = image.rsplit("/", 1)[-1]
    static = [
        type,
        object,
        dict,
        list,
        tuple,
        set,
        frozenset,
        str,
        bytes,
        int,
        bool,
        float,
        complex,
        type(None),
        range,
        slice,
        types.FunctionType,
        types.MethodType,
        types.BuiltinFunctionType,
        types.CellType,
        types.CodeType,
        types.FrameType,
        types.CoroutineType,
        types.GeneratorType,
        types.AsyncGeneratorType,
        types.ModuleType,
        types.MappingProxyType,
        types.MemberDescriptorType,
        types.GetSetDescriptorType,
        types.WrapperDescriptorType,
        types.MethodWrapperType,
        types.TracebackType,
        weakref.ref,
        type(iter([])),
        type(iter(())),
        staticmethod,
        classmethod,
        property,
    ]

    async def agen():
        yield 1

    async def coro():
        pass

    g, c = agen(), coro()
    step, throw, wrapper = g.asend(None), g.athrow(ValueError), c.__await__()
    extra = {"asend": type(step), "athrow": type(throw), "coroutine_wrapper": type(wrapper)}
    wrapper.close()
    step.close()
    throw.close()
    if V >= (3, 10):
        nexting = anext(agen(), None)
        extra["anext"] = type(nexting)
        nexting.close()
    known = {t.__name__: t for t in static}
    known.update(extra)
    layout["static_types"] = {n: where(id(t))[1] for n, t in known.items() if where(id(t))[0] == image}
    layout["none"] = where(id(None))[1]
    layout["true"] = where(id(True))[1]
    layout["false"] = where(id(False))[1]
    try:
        runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
        name, offset = where(runtime)
        layout["runtime"] = offset if name == image else -1
    except ValueError:
        layout["runtime"] = -1


def find_types():
    name = [o for o in range(16, 64, 8) if raw(word(id(dict) + o), 5) == b"dict\0"]
    layout["tp_name"] = name[0]
    size = type.__basicsize__
    field("tp_basicsize", [(id(t), t.__basicsize__) for t in (Slotted, dict, type)], size)
    layout["tp_itemsize"] = layout["tp_basicsize"] + 8
    assert word(id(int) + layout["tp_itemsize"]) == int.__itemsize__
    field("tp_flags", [(id(t), t.__flags__) for t in (Slotted, dict, Plain)], size)
    sized = (types.FunctionType, BaseException, types.ModuleType, type)
    field("tp_dictoffset", [(id(t), t.__dictoffset__) for t in sized], size)
    field("tp_base", [(id(Mixed), id(Slotted)), (id(bool), id(int))], size)
    field("tp_mro", [(id(Mixed), id(Mixed.__mro__)), (id(Plain), id(Plain.__mro__))], size)
    proxies = [Mixed.__dict__, Plain.__dict__]
    field("tp_dict", [(id(t), word(id(p) + 16)) for t, p in zip((Mixed, Plain), proxies)], size)
    item = places(id(Mixed.__mro__), id(Slotted), 64)
    layout["tuple_items"] = item[0] - 8


def find_dicts():
    keys = ["key-%d" % i for i in range(4)]
    values = [object() for _ in keys]
    table = dict(zip(keys, values))
    three = dict(zip(keys[:3], values))
    size = dict.__basicsize__
    layout["ma_keys"], first = pointed("ma_keys", id(table), size, id(keys[0]), 128)
    start = word(id(table) + layout["ma_keys"])
    other = word(id(three) + layout["ma_keys"])
    layout["dk_old"] = int(V < (3, 11))
    layout["dk_indices"] = first - 8 - (8 if V < (3, 11) else 0)
    field("dk_nentries", [(start, 4), (other, 3)], first, 0)
    field("ma_used", [(id(table), 4), (id(three), 3)], size)
    one = Plain()
    one.alpha, one.beta = values[:2]
    if V >= (3, 11):
        find_values(one, values[:2])
    attributes = vars(one)
    layout["ma_values"], layout["values_data"] = pointed("ma_values", id(attributes), size, id(values[0]), 32)
    field("cached_keys", [(id(Plain), word(id(attributes) + layout["ma_keys"]))], type.__basicsize__)
    if V >= (3, 11):
        back = [o for o in range(-48, 0, 8) if word(id(one) + o) == id(attributes)]
        tagged = [o for o in range(-48, 0, 8) if word(id(one) + o) == id(attributes)]
        layout["managed_dict"] = (back or tagged)[0]


def find_values(one, values):
    """Where the values of an instance without a dict of its own lie."""
    layout["inline_values"] = layout["managed_values"] = layout["values_tag"] = 0
    inline = places(id(one), id(values[0]), Plain.__basicsize__ + 64)
    if inline:
        layout["inline_values"] = inline[0] - Plain.__basicsize__
        return
    for tag in (0, 1):
        for offset in range(-48, -16, 8):
            block = raw(word(id(one) + offset) + tag, 16)
            if block == struct.pack("<2Q", *map(id, values)):
                layout["managed_values"], layout["values_tag"] = offset, tag
                return
    raise Missing("managed_values")


def find_containers():
    items = [object() for _ in range(5)]
    many = list(items)
    layout["list_items"] = pointed("list_items", id(many), list.__basicsize__, id(items[0]), 8)[0]
    some = set(items[:4])
    some.discard(items[3])
    field("set_fill", [(id(some), 4)], set.__basicsize__)
    field("set_used", [(id(some), 3)], set.__basicsize__)
    field("set_mask", [(id(some), 7)], set.__basicsize__)
    layout["set_table"] = pointed("set_table", id(some), set.__basicsize__, id(items[0]), 128)[0]
    queue = deque(object() for _ in range(100))
    queue.appendleft(items[0])
    queue.append(items[1])
    size = deque.__basicsize__
    layout["dq_left"], left = pointed("dq_left", id(queue), size, id(items[0]), 528)
    layout["dq_right"], right = pointed("dq_right", id(queue), size, id(items[1]), 528)
    field("dq_leftindex", [(id(queue), left // 8 - 1)], size, layout["dq_right"] + 8)
    field("dq_rightindex", [(id(queue), right // 8 - 1)], size, layout["dq_leftindex"] + 8)
    data = [word(word(id(queue) + layout["dq_left"]) + 8 * k) for k in range(1, 70)]
    layout["dq_link"] = 8 * (1 + data.index(word(id(queue) + layout["dq_right"])))
    for name, kind in (("deque", deque), ("partial", partial)):
        layout.setdefault("sizes", {})[name] = kind.__basicsize__


def find_values_of_builtins():
    ascii_text, latin, wide, huge = "abcdXYZ", "caf\xe9!", "\u0416\u0416w", "\U0001f600z"
    layout["str_ascii"] = ctypes.string_at(id(ascii_text), 80).index(b"abcdXYZ")
    layout["str_compact"] = ctypes.string_at(id(latin), 96).index(latin.encode("latin-1"))
    field("str_length", [(id(ascii_text), 7), (id(wide), 3)], 40)
    for offset, shift in [(o, s) for o in (32, 36) for s in range(24)]:
        kinds = [int32(id(s) + offset) >> shift & 7 for s in (ascii_text, latin, wide, huge)]
        if kinds == [1, 1, 2, 4] and "str_state" not in layout:
            layout["str_state"], layout["str_kind_shift"] = offset, shift
    state = layout["str_state"]
    bits = [int32(id(s) + state) for s in (ascii_text, latin, wide, huge)]
    legacy, wide = Text("legacy-text"), Text("\u0416\u0417\u0418")
    shape = "\u0416\u0417\u0418".encode("utf-16-le")
    layout["str_any"] = next(o for o in range(40, 96, 8) if raw(word(id(wide) + o), 6) == shape)
    bits.append(int32(id(legacy) + state))
    above = range(layout["str_kind_shift"] + 3, 32)
    layout["str_ascii_bit"] = next(b for b in above if [x >> b & 1 for x in bits] == [1, 0, 0, 0, 1])
    layout["str_compact_bit"] = next(b for b in above if [x >> b & 1 for x in bits] == [1, 1, 1, 1, 0])
    layout["bytes_data"] = ctypes.string_at(id(b"bytesXYZ"), 64).index(b"bytesXYZ")
    layout["int_tagged"] = int(V >= (3, 12))
    layout["int_digits"] = next(o for o in (16, 24, 32) if int32(id(987654321) + o) == 987654321)
    layout["float_value"] = next(
        o for o in (16, 24) if ctypes.c_double.from_address(id(float("2.71875")) + o).value == 2.71875
    )


def find_callables():
    hidden = object()

    def closed(_a=1, *, _b=2):
        return hidden

    size = types.FunctionType.__basicsize__
    code = closed.__code__
    field("cell_ref", [(id(closed.__closure__[0]), id(hidden))], 32)
    closed.__qualname__ = "quality-name"
    for name, value in (
        ("func_code", code),
        ("func_closure", closed.__closure__),
        ("func_globals", globals()),
        ("func_name", closed.__name__),
        ("func_qualname", closed.__qualname__),
        ("func_defaults", closed.__defaults__),
        ("func_kwdefaults", closed.__kwdefaults__),
        ("func_dict", vars(closed)),
    ):
        field(name, [(id(closed), id(value))], size)
    bound = closed.__get__(hidden)
    field("m_self", [(id(bound), id(hidden))], types.MethodType.__basicsize__)
    field("m_func", [(id(bound), id(closed))], types.MethodType.__basicsize__)
    built = [].append
    field("b_self", [(id(built), id(built.__self__))], types.BuiltinFunctionType.__basicsize__)
    layout["b_name"] = next(o for o in range(16, 56, 8) if named(word(id(built) + o), b"append\0"))
    part = partial(closed, hidden, key=hidden)
    size = partial.__basicsize__
    field("p_func", [(id(part), id(closed))], size)
    field("p_args", [(id(part), id(part.args))], size)
    field("p_keywords", [(id(part), id(part.keywords))], size)
    target = Plain()
    ref = weakref.ref(target)
    field("wr_object", [(id(ref), id(target))], weakref.ref.__basicsize__)
    member = Slotted.__dict__["s5"]
    layout["d_member"] = next(o for o in range(16, 64, 8) if named(word(id(member) + o), b"s5\0"))
    size = types.MemberDescriptorType.__basicsize__
    offset = word(word(id(member) + layout["d_member"]) + 16)
    full = Slotted()
    full.s5 = hidden
    assert word(id(full) + offset) == id(hidden)
    module = types.ModuleType("m")
    field("md_dict", [(id(module), id(vars(module)))], types.ModuleType.__basicsize__)


def named(address, name):
    """Whether the first word at an address points to this C string."""
    block = raw(address, 8)
    return bool(block) and raw(struct.unpack("<Q", block)[0], len(name)) == name


def find_code():
    cell = object()

    def sample(first, second, *rest):
        third = [first, second, rest]

        def inside():
            return third, cell

        return inside

    plain = sample.__code__
    code = plain.replace(co_firstlineno=54321, co_stacksize=12345, co_flags=plain.co_flags | 0x2000000)
    size = sys.getsizeof(code) if V >= (3, 11) else types.CodeType.__basicsize__
    fields = ["co_consts", "co_names", "co_filename", "co_name", "co_linetable"]
    if V >= (3, 11):
        fields += ["co_qualname", "co_exceptiontable"]
    else:
        fields += ["co_code", "co_varnames", "co_cellvars", "co_freevars"]
    if V >= (3, 11):
        code = code.replace(co_qualname="unusual.qualname")
    for name in fields:
        value = getattr(code, name)
        found = places(id(code), id(value), size)
        if not found:
            raise Missing(name)
        layout[name] = found[0]
    for name in ("co_firstlineno", "co_stacksize", "co_flags"):
        field(name, [(id(code), getattr(code, name))], types.CodeType.__basicsize__ + 16, 16, 4)
    if V >= (3, 11):
        locals_names = (
            code.co_varnames
            + tuple(n for n in code.co_cellvars if n not in code.co_varnames)
            + code.co_freevars
        )
        for offset in range(16, size - 8, 8):
            target = word(id(code) + offset)
            head = raw(target, 24)
            if len(head) < 24 or struct.unpack_from("<Q", head, 8)[0] != id(tuple):
                continue
            names = ctypes.cast(target, ctypes.py_object).value
            if names == locals_names and target not in (id(code.co_names), id(code.co_consts)):
                layout["co_localsplusnames"] = offset
                break
        kinds = word(id(code) + layout["co_localsplusnames"] + 8)
        assert word(kinds + 8) == id(bytes)
        layout["co_localspluskinds"] = layout["co_localsplusnames"] + 8
        adaptive = code._co_code_adaptive
        layout["co_code_adaptive"] = ctypes.string_at(id(code), size + 400).index(adaptive)
        layout["co_code_units"] = 16
    layout["opcodes"] = opcodes()
    find_monitoring()


def traced(items):
    """Its lines are watched, which puts other instructions in the place of its own."""
    total = 0
    for item in items:
        total += item

    return total


def find_monitoring():
    """Where the instructions are that a tracer or debugger has replaced; since 3.12."""
    layout["co_monitoring"] = -1
    if V < (3, 12):
        return
    watch, tool, code = sys.monitoring, 3, traced.__code__
    watch.use_tool_id(tool, "twin")
    watch.set_local_events(tool, code, watch.events.LINE)
    traced([1, 2])
    start, size = id(code) + layout["co_code_adaptive"], len(code.co_code)
    now, own = raw(start, size), code.co_code
    lined = layout["opcodes"]["names"].index("INSTRUMENTED_LINE")
    units = [i for i in range(size // 2) if now[2 * i] == lined and own[2 * i]]
    base = layout["opcodes"]["base"]
    shapes = [(first, step) for first in (0, 1) for step in (2, 3, 4, 5)]
    for offset in range(16, layout["co_code_adaptive"], 8):
        block = raw(word(id(code) + offset), 64) if units else b""
        for inner in range(0, len(block), 8):
            data = raw(struct.unpack_from("<Q", block, inner)[0], 5 * size)
            for first, step in shapes if data else ():
                kept = [data[first + step * i] for i in units]
                if [base.get(k, k) for k in kept] == [own[2 * i] for i in units]:
                    layout["co_monitoring"], layout["mon_lines"] = offset, inner
                    layout["mon_first"], layout["mon_step"] = first, step
                    return


def opcodes():
    """Names, inline cache entries and the base of each specialised instruction."""
    names = list(getattr(dis, "_all_opname", dis.opname))
    names += ["<%d>" % i for i in range(len(names), 256)]
    index = {n: i for i, n in enumerate(names)}
    base = {index[s]: index[b] for s, b in getattr(dis, "deoptmap", {}).items() if s in index and b in index}
    try:
        import _opcode_metadata

        for special, number in _opcode_metadata._specialized_opmap.items():
            names[number] = special
            base[number] = dis.opmap[dis.deoptmap[special]]
    except (ImportError, AttributeError, KeyError):
        pass
    for i, name in enumerate(names):
        if name.startswith("INSTRUMENTED_") and name[13:] in dis.opmap:
            base[i] = dis.opmap[name[13:]]
    entries = getattr(dis, "_inline_cache_entries", None)
    caches = [entries.get(n, 0) for n in names] if isinstance(entries, dict) else list(entries or [])
    return {
        "names": names[:256],
        "caches": (caches + [0] * 256)[:256],
        "base": base,
        "have_argument": dis.HAVE_ARGUMENT,
        "jrel": sorted(o for o in dis.hasjrel if o < 256),
        "jabs": sorted(o for o in dis.hasjabs if o < 256),
    }


async def marked(sem):
    async with sem:
        mark = object()
        await asyncio.get_running_loop().create_future()
        return mark


def first_of(name, found):
    """The first place found."""
    if not found:
        raise Missing(name)
    layout[name] = found[0]
    return found[0]


def find_frames(coroutine, sem):
    """Frames of suspended coroutines; ``coroutine`` waits inside ``marked``."""
    frame, code = coroutine.cr_frame, coroutine.cr_code
    size = coroutine.__sizeof__() if V < (3, 11) else sys.getsizeof(coroutine)
    if V < (3, 11):
        first_of("gi_frame", places(id(coroutine), id(frame), size))
        length = sys.getsizeof(frame)
        first_of("f_code", places(id(frame), id(code), length))
        first_of("f_back", [o for o in (16, 24) if word(id(sys._getframe(0)) + o) == id(sys._getframe(1))])
        first_of("f_globals", places(id(frame), id(frame.f_globals), length))
        local = first_of("f_localsplus", places(id(frame), id(sem), length))
        inside = [
            o for o in range(24, local, 8) if id(frame) + local < word(id(frame) + o) < id(frame) + length
        ]
        first_of("f_valuestack", inside)
        depth = (2, word(id(frame) + layout["f_valuestack"]) - id(frame) - local)
        first_of("f_stackdepth", places(id(frame), depth[0], local, inside[0] + 8, 4))
        last = frame.f_lasti // 2
        first_of("f_lasti", places(id(frame), last, local, inside[0] + 8, 4))
        first_of("f_gen", places(id(frame), id(coroutine), local))
        return
    own = sys._getframe()
    layout["f_frame"] = pointed("f_frame", id(own), 64, id(own.f_code), 80, tags=TAGS)[0]
    start = word(id(frame) + layout["f_frame"])
    layout["gi_iframe"] = start - id(coroutine)
    end = size - layout["gi_iframe"]
    first_of("if_localsplus", slots(start, id(sem), end, 0))
    local = layout["if_localsplus"]
    first_of("if_code", slots(start, id(code), local, 0))
    first_of("if_globals", places(start, id(frame.f_globals), local, 0))
    first_of("if_object", places(start, id(frame), local, 0))
    begin = id(code) + layout["co_code_adaptive"]
    first_of("if_instr", places(start, begin + frame.f_lasti, local, 0))
    count = len(code.co_varnames + code.co_freevars)
    layout["tags"] = TAGS
    layout["if_stackpointer"] = layout["if_stacktop"] = -1
    if V >= (3, 14):
        low, high = start + local + 8 * count, start + local + 8 * (count + code.co_stacksize)
        first_of("if_stackpointer", [o for o in range(0, local, 8) if low < word(start + o) <= high])
    else:
        first_of("if_stacktop", places(start, count + 2, local, layout["if_instr"] + 8, 4))
    kinds = dis.opmap["RESUME"]
    op = ctypes.c_uint8.from_address(begin + frame.f_lasti).value
    op = layout["opcodes"]["base"].get(op, op)
    layout["next_shift"] = 0 if op == kinds else 2
    current = sys._getframe(0)
    mine = word(id(current) + layout["f_frame"])
    back = word(id(sys._getframe(1)) + layout["f_frame"])
    first_of("if_previous", places(mine, back, local, 0))


def find_generators(waiting):
    async def agen():
        yield 1

    async def coro():
        pass

    g, c = agen(), coro()
    step, throw, wrapper = g.asend(None), g.athrow(ValueError), c.__await__()
    field("asend_gen", [(id(step), id(g))], 48)
    field("athrow_gen", [(id(throw), id(g))], 48)
    field("wrapper_coro", [(id(wrapper), id(c))], 48)
    inner = [].__iter__()
    nexting = anext(g, None)
    layout["anext_wrapped"] = 16
    nexting.close()
    step.close()
    throw.close()
    c.close()
    del inner
    size = 200 if V >= (3, 11) else types.CoroutineType.__basicsize__
    fresh, closed = coro(), coro()
    field("gi_name", [(id(fresh), id(fresh.__name__))], size)
    named_one = coro()
    named_one.__qualname__ = "odd-qualname"
    field("gi_qualname", [(id(named_one), id(named_one.__qualname__))], size)
    closed.close()
    layout["gi_state"] = -1
    if V >= (3, 11):
        end = layout["gi_iframe"]
        read = ctypes.c_int8.from_address
        rows = []
        for offset in range(end - 24, end):
            rows.append(
                (
                    read(id(fresh) + offset).value,
                    read(id(waiting) + offset).value,
                    read(id(closed) + offset).value,
                )
            )
        layout["gi_created"] = created = -2 if V < (3, 13) else -3
        good = [i for i, row in enumerate(rows) if row[:2] == (created, -1) and row[2] in (1, 4)]
        first_of("gi_state", [end - 24 + i for i in good])
    fresh.close()
    named_one.close()


def find_tasks(loop, task, coroutine, name):
    size = type(task).__basicsize__
    layout["sizes"]["task"] = size
    layout["sizes"]["future"] = type(loop.create_future()).__basicsize__
    layout["c_task"] = int(type(task).__module__ == "_asyncio")
    if not layout["c_task"]:
        return
    first_of("task_coro", places(id(task), id(coroutine), size))
    first_of("task_name", places(id(task), id(name), size))
    first_of("task_waiter", places(id(task), id(task._fut_waiter), size))
    pending, done, gone, full = (loop.create_future() for _ in range(4))
    result = object()
    done.set_result(result)
    gone.cancel()
    size = layout["sizes"]["future"]
    states = [o for o in range(16, size, 4) if [int32(id(f) + o) for f in (pending, gone, done)] == [0, 1, 2]]
    first_of("fut_state", states)
    first_of("fut_loop", places(id(pending), id(loop), size))
    first_of("fut_result", places(id(done), id(result), size))
    calls = [lambda _: None for _ in range(3)]
    for call in calls:
        full.add_done_callback(call)
    first_of("fut_callback0", places(id(full), id(calls[0]), size))
    listed = [o for o in range(16, size, 8) if is_list(word(id(full) + o))]
    first_of("fut_callbacks", listed)
    it = iter(full)
    first_of("futiter_future", places(id(it), id(full), 48))
    layout["sizes"]["futureiter"] = type(it).__basicsize__
    known.extend((full, calls, done, gone))


def is_list(address):
    block = raw(address, 16)
    return len(block) == 16 and struct.unpack("<2Q", block)[1] == id(list)


def find_threads():
    layout["rt_interpreters"] = -1
    if layout["runtime"] < 0:
        return
    api = ctypes.pythonapi
    api.PyThreadState_Get.restype = ctypes.c_void_p
    api.PyInterpreterState_Main.restype = ctypes.c_void_p
    state, interpreter = api.PyThreadState_Get(), api.PyInterpreterState_Main()
    runtime = ctypes.addressof(ctypes.c_char.in_dll(api, "_PyRuntime"))
    heads = places(runtime, interpreter, 4096, 0)
    first_of("rt_interpreters", heads)
    block = raw(interpreter, 200000) or raw(interpreter, 8192)
    api.PyInterpreterState_Next.restype = ctypes.c_void_p
    found = []
    ready, stop = threading.Event(), threading.Event()
    ids = {}

    def other():
        ids["state"] = ctypes.pythonapi.PyThreadState_Get()
        ids["native"], ids["ident"] = threading.get_native_id(), threading.get_ident()
        ids["code"] = id(sys._getframe().f_code)
        ready.set()
        stop.wait()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    ready.wait()
    newest = ids["state"]
    for offset in range(0, len(block) - 8, 8):
        if word(interpreter + offset) == newest:
            found.append(offset)
    first_of("is_threads", found)
    first_of("ts_next", places(newest, state, 256, 0))
    own = (threading.get_ident(), threading.get_native_id())
    first_of("ts_ident", [o for o in places(state, own[0], 512, 0) if word(newest + o) == ids["ident"]])
    layout["ts_native"] = -1
    if V >= (3, 11):
        first_of("ts_native", [o for o in places(state, own[1], 512, 0) if word(newest + o) == ids["native"]])
    layout["pthread_tid"] = -1
    tids = [
        o
        for o in range(0, 2048, 4)
        if int32(own[0] + o) == own[1] and int32(ids["ident"] + o) == ids["native"]
    ]
    if tids:
        layout["pthread_tid"] = tids[0]
    find_current(state)
    stop.set()
    thread.join()


def find_current(state):
    """Where a thread keeps its running frame; read without a call to Python code, which would change it."""
    frame = sys._getframe()
    here = id(frame) if V < (3, 11) else word(id(frame) + layout["f_frame"])
    block = ctypes.c_uint64 * 64
    words = block.from_address(state)[:]
    layout["cf_frame"] = -1
    if here in words:
        layout["ts_frame"] = 8 * words.index(here)
        return
    short = ctypes.c_uint64 * 4
    good = [i for i, target in enumerate(words) if mapped(target, 32)]
    inner = []
    for i in good:  # no comprehension: it would be the running frame
        inner.append(short.from_address(words[i])[:])
    for index, found in zip(good, inner):
        if here in found:
            layout["ts_frame"], layout["cf_frame"] = 8 * index, 8 * found.index(here)
            return
    raise Missing("ts_frame")


known = []


async def main():
    loop = asyncio.get_running_loop()
    find_image()
    find_types()
    find_dicts()
    find_containers()
    find_values_of_builtins()
    find_callables()
    find_code()
    sem = asyncio.BoundedSemaphore(77)
    coroutine = marked(sem)
    name = "twin-" + "task"
    task = asyncio.Task(coroutine, name=name)
    await asyncio.sleep(0)
    find_frames(coroutine, sem)
    find_generators(coroutine)
    find_tasks(loop, task, coroutine, name)
    try:
        find_threads()
    except Missing:
        layout["rt_interpreters"] = -1  # tasks can be read without
    layout["version"] = list(sys.version_info[:3])
    layout["release"] = sys.version.split()[0]
    layout["pointer"] = struct.calcsize("P")
    truth = await make_truth(loop, sem, task)
    sys.stdout.write(json.dumps({"layout": layout, "truth": truth}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


class Shape:
    """Attributes in the form that instances have at first."""

    def __init__(self, **values):
        for name, value in values.items():
            setattr(self, name, value)


def hot(items, limit=3):
    """Runs often, so that its bytecode is specialised; has lines, handlers and a cell."""
    total = 0
    shape = Shape(x=1)
    for item in items:
        try:
            if item < limit:
                total += item + shape.x
            else:
                total = total - len(items)
        except TypeError:
            total = 0
        finally:
            total += 1
    return [lambda: total]


def spaced():
    try:
        yield 1

    finally:
        sys.intern("spaced")


async def steps(sem):
    async with sem:
        yield 1
        await asyncio.get_running_loop().create_future()


async def walks(sem):
    async for _ in steps(sem):
        pass


@types.coroutine
def delegate(future):
    return (yield from future)


async def delegates(future):
    return await delegate(future)


def blocked(lock, ready):
    with lock:
        ready.set()
        known[0].wait()


def values_truth():
    first, second = object(), object()
    shape, late, slotted, mixed = Shape(alpha=first, beta=second), Shape(alpha=first), Slotted(), Mixed()
    vars(late)["gamma"] = second
    slotted.s3 = mixed.s4 = first
    mixed.delta = second
    many = Shape(**{"name%d" % i: first for i in range(40)})
    texts = ["", "plain", "caf\xe9", "\u0416w", "\U0001f600", "x" * 9000, Text("sub-text"), Text("\u0416")]
    numbers = [0, 1, -1, 2**30 - 1, 2**30, -(2**75) - 5, 12345, True]
    table = {"a": first, 5: second, (1, 2): first, "b": second}
    del table["a"]
    plain = {"k%d" % i: first for i in range(1000)}
    queue = deque(object() for _ in range(300))
    queue.rotate(7)
    queue.popleft()
    one, none, bag = deque([first]), deque(), {first, second}
    holds = [object() for _ in range(2000)]
    unique = object()
    owner, kept = Shape(unique=unique), [unique]
    table["unique"] = unique
    rows = [["text", id(t), str(t)[:4096]] for t in texts] + [
        ["integer", id(n), str(int(n))] for n in numbers
    ]
    rows += [["floating", id(f), repr(f)] for f in FLOATS]
    rows += [
        ["attributes", id(shape), addresses(vars_of(shape, "alpha", "beta"))],
        ["attributes", id(late), addresses(vars_of(late, "alpha", "gamma"))],
        ["attributes", id(slotted), {"s3": id(first)}],
        ["attributes", id(mixed), {"s4": id(first), "delta": id(second)}],
        ["attributes", id(many), {"name%d" % i: id(first) for i in range(40)}],
        ["items", id(table), [[id(k), id(v)] for k, v in table.items()]],
        ["items", id(plain), [[id(k), id(v)] for k, v in plain.items()]],
        ["refs", id(queue), [[id(known), "index:%d" % len(known)]]],
    ]
    known.append(queue)
    for items in (queue, one, none, holds, tuple(holds[:9]), ()):
        known.append(items)
        rows.append(["sequence", id(items), [id(i) for i in items]])
    sets = [bag, frozenset(bag), set(), set(holds)]
    rows += [["members", id(s), sorted(id(i) for i in s)] for s in sets]
    rows.append(
        ["refs", id(unique), [[id(owner), "attr:unique"], [id(table), "key:'unique'"], [id(kept), "index:0"]]]
    )
    rows.append(["type", id(shape), "__main__.Shape"])
    known.append((shape, late, slotted, mixed, many, texts, numbers, table, plain, sets, kept, owner))
    return rows


FLOATS = [0.0, -2.5, 1e300]


def vars_of(instance, *names):
    """Attributes without asking for the dict, which would change how they are kept."""
    return {name: getattr(instance, name) for name in names}


def addresses(values):
    return {name: id(value) for name, value in values.items()}


def calls_truth():
    inside, target = object(), Shape(a=1)

    def closed():
        return inside

    bound, part, ref = target.__init__, partial(closed, 1, b=2), weakref.ref(target)
    for _ in range(50):
        hot(list(range(20)))
    known.append((target, closed, bound, part, ref))
    rows = [
        ["cell", id(closed.__closure__[0]), id(inside)],
        ["method", id(bound), [id(target), id(bound.__func__)]],
        ["partial", id(part), [id(closed), id(part.args), id(part.keywords)]],
        ["weak", id(ref), id(target)],
        [
            "function",
            id(closed),
            [id(closed.__code__), [id(closed.__closure__[0])], id(globals()), closed.__qualname__],
        ],
    ]
    watched = (traced.__code__,) if layout["co_monitoring"] >= 0 else ()
    for code in (*watched, hot.__code__, spaced.__code__, marked.__code__, closed.__code__):
        rows.append(["code", id(code), code_truth(code)])
    return rows


def code_truth(code):
    lines = {}
    for start, end, line in code.co_lines():
        for offset in range(start, end, 2):
            if line is not None:
                lines[offset] = line
    handlers = []
    if hasattr(dis, "_parse_exception_table"):
        handlers = [[e.start, e.end, e.target, e.depth, e.lasti] for e in dis._parse_exception_table(code)]
    return {
        "name": code.co_name,
        "qualname": getattr(code, "co_qualname", code.co_name),
        "filename": code.co_filename,
        "firstlineno": code.co_firstlineno,
        "names": list(code.co_names),
        "consts": [id(c) for c in code.co_consts],
        "varnames": list(code.co_varnames),
        "cellvars": list(code.co_cellvars),
        "freevars": list(code.co_freevars),
        "flags": code.co_flags,
        "stacksize": code.co_stacksize,
        "bytecode": code.co_code.hex(),
        "lines": [[k, v] for k, v in sorted(lines.items())],
        "handlers": handlers,
    }


async def tasks_truth(loop, sem, task):
    future = loop.create_future()
    plain_task = asyncio.tasks._PyTask(delegates(future), loop=loop, name="plain-task")
    walking = asyncio.Task(walks(sem))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls = [lambda _: None for _ in range(3)]
    busy, over = loop.create_future(), loop.create_future()
    over.set_result(7)
    for call in calls:
        busy.add_done_callback(call)
        plain_task.add_done_callback(call)
    known.append((plain_task, walking, calls, busy, over, future))
    coroutine = task.get_coro()
    frame = coroutine.cr_frame
    waiter = task._fut_waiter
    rows = [
        [
            "frame",
            id(coroutine),
            [id(frame.f_code), addresses(frame.f_locals), frame.f_lasti, frame.f_lineno],
        ],
        ["awaits", id(coroutine), id(waiter)],
        ["task", id(task), ["twin-task", id(coroutine), "pending", id(waiter), [], id(loop)]],
        [
            "task",
            id(plain_task),
            [
                "plain-task",
                id(plain_task.get_coro()),
                "pending",
                id(future),
                [id(c) for c in calls],
                id(loop),
            ],
        ],
        ["chain", id(task), ["marked"]],
        ["chain", id(plain_task), ["delegates", "delegate"]],
        ["chain", id(walking), ["walks", "steps"]],
        ["future", id(busy), ["pending", [id(c) for c in calls]]],
        ["future", id(over), ["done", []]],
        ["instances", id(sem), [id(sem)]],
        ["refs", id(sem), [[id(coroutine), "local:sem"]]],
        ["held", id(coroutine), [id(sem), "__aexit__"]] if V < (3, 14) else ["stack", id(coroutine), id(sem)],
    ]
    number = walking.get_name() if V < (3, 12) else None
    if number:
        rows.append(["name", id(walking), number])
    return rows


def threads_truth():
    lock, ready = threading.Lock(), threading.Event()
    thread = threading.Thread(target=blocked, args=(lock, ready), daemon=True)
    thread.start()
    ready.wait()
    known.append((lock, thread))
    row = [
        "thread",
        thread.native_id,
        ["Condition.wait", "Event.wait", "blocked"] if V >= (3, 11) else ["wait", "wait", "blocked"],
    ]
    return (
        [row, ["local", thread.native_id, ["blocked", "lock", id(lock)]]]
        if layout["rt_interpreters"] >= 0
        else []
    )


async def make_truth(loop, sem, task):
    known.insert(0, threading.Event())
    rows = values_truth() + calls_truth() + threads_truth()
    return rows + await tasks_truth(loop, sem, task)


def refusal():
    """What kind of Python this is, when it is one that cannot be read."""
    if sys.implementation.name != "cpython":
        return sys.implementation.name
    if "t" in getattr(sys, "abiflags", ""):
        return "a free-threaded CPython"
    if word(id(known) + 8) != id(list):
        return "a CPython built with Py_TRACE_REFS"
    return ""


if __name__ == "__main__":
    try:
        refused = refusal()
        if refused:
            sys.stdout.write(json.dumps({"refused": refused}) + "\n")
        else:
            asyncio.run(main())
    except Missing as missing:
        sys.stdout.write(json.dumps({"missing": str(missing)}) + "\n")
