"""Who refers to an object: its address is found in memory, then the object that each place belongs to.

A place lies inside an object, or in a table that one keeps elsewhere: the items of a list, the entries of a
dict, the attributes of an instance, a set's table, a block of a deque, the slots of a running frame. The
tables of all live containers are compared with all places at once, in one pass over the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from exai_ops.sem.frames import Frames
from exai_ops.sem.holders import Holders
from exai_ops.sem.tables import Tables

if TYPE_CHECKING:
    from exai_ops.sem.objects import Objects

_MAX_PLACES: Final = 20000


class Ref(NamedTuple):
    """One reference.

    Attributes:
        owner: The object that holds it; 0 for a running frame that has no object.
        how: ``attr:NAME``, ``key:REPR`` (the value under it), ``key`` (it is one), ``index:N``, ``item`` (of
            a set), ``cell``, ``self``, ``slot:NAME``, ``local:NAME``, ``stack:N`` (of a frame), ``weak``,
            ``thread:ID:local:NAME`` (of a running frame), ``offset:N`` (bytes, when nothing names it).
    """

    owner: int
    how: str


def find_referrers(objects: Objects, addresses: Iterable[int]) -> dict[int, list[Ref]]:
    """References to each of the objects; at most 20000 places in all."""
    wanted = {address for address in addresses if address}
    found: dict[int, list[Ref]] = {address: [] for address in wanted}
    if not wanted:
        return found
    tagged = {word | 1: word for word in wanted} if objects.layout.get("tags", 0) > 0 else {}
    places = {
        place: tagged.get(word, word)
        for word, there in objects.memory.find(wanted | tagged.keys()).items()
        for place in there[:_MAX_PLACES]
    }
    while len(places) > _MAX_PLACES:
        places.popitem()
    raw = _Places(objects).owners(list(places))
    resolved = _InstanceDicts(objects).resolve(raw)
    for place, ref in resolved:
        if ref not in found[places[place]]:
            found[places[place]].append(ref)
    return found


class _Places:
    """Leads from places in memory to the objects that they belong to."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.holders = Holders(objects)

    def owners(self, places: list[int]) -> list[tuple[int, Ref]]:
        """(place, reference) of each place that a live object has, or a running frame."""
        found: list[tuple[int, Ref]] = []
        left = set(places)
        for place, owner, how in Tables(self.objects).owners(sorted(places)):
            found.append((place, Ref(owner, how)))
            left.discard(place)
        if left:
            for place in sorted(left):
                held = self.holders.at(place)
                if held is not None:
                    left.discard(place)
                    if held[1]:
                        found.append((place, Ref(*held)))
        if left:
            found += self._running(left)
        return found

    def _running(self, places: set[int]) -> Iterator[tuple[int, Ref]]:
        for thread in Frames(self.objects).threads():
            for frame in thread.frames:
                names = frame.info.locals_names
                for place in places:
                    index = (place - frame.first) // 8
                    if 0 <= index < len(names):
                        yield place, Ref(0, f"thread:{thread.native}:local:{names[index]}")
                    elif len(names) <= index < len(names) + len(frame.stack):
                        yield place, Ref(0, f"thread:{thread.native}:stack:{index - len(names)}")


class _InstanceDicts:
    """Leads from the dict of an instance, module or class to that, and from a key to an attribute."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.holders = Holders(objects)

    def resolve(self, found: list[tuple[int, Ref]]) -> list[tuple[int, Ref]]:
        dicts = {ref.owner for _, ref in found if ref.how.startswith("key:") and ref.owner}
        if not dicts:
            return found
        holders = self._holders(dicts)
        return [
            (place, Ref(holders[ref.owner], f"attr:{ref.how[5:-1]}"))
            if ref.owner in holders and ref.how.startswith("key:'")
            else (place, ref)
            for place, ref in found
        ]

    def _holders(self, dicts: set[int]) -> dict[int, int]:
        found = {}
        for one, places in self.objects.memory.find(dicts).items():
            for place in places[:256]:
                holder = self._holder(one, place)
                if holder:
                    found[one] = holder
                    break
        return found

    def _holder(self, one: int, place: int) -> int:
        objects, layout = self.objects, self.objects.layout
        managed = layout.get("managed_dict", 0)
        if managed:
            candidate = place - managed
            if objects.instance_dict(candidate) == one and objects.is_live(candidate):
                return candidate
        held = self.holders.object_at(place)
        if not held:
            return 0
        kind = objects.kind(held)
        if kind == "module":
            return held if objects.module_dict(held) == one else 0
        if kind == "type":
            return held if objects.memory.u64(held + layout["tp_dict"]) == one else 0
        return held if objects.instance_dict(held) == one else 0
