"""Who refers to an object: its address is found in memory, then the object that each place belongs to.

A place lies inside an object, or in a table that one keeps elsewhere: the items of a list, the entries of a
dict, the attributes of an instance, a set's table, a block of a deque, the slots of a running frame. The
tables of all live containers are compared with all places at once, in one pass over the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from exai_ops.sem.frames import Frames
from exai_ops.sem.holders import Holders
from exai_ops.sem.tables import Tables

if TYPE_CHECKING:
    from exai_ops.sem.objects import Objects

_MAX_PLACES: Final = 20000
_MOST_HOLDERS: Final = 256  # places of a dict's address that are looked at for the object that it is of


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
    references = References(objects)
    found = references.to(references.places(addresses))
    holders = references.holders_of({ref.owner for some in found.values() for ref in some if is_entry(ref)})
    return {address: resolved(some, holders) for address, some in found.items()}


def is_entry(ref: Ref) -> bool:
    """Whether a reference is a value in a dict, which may be the dict of an object."""
    return ref.how.startswith("key:") and ref.owner != 0


def resolved(refs: Iterable[Ref], holders: Mapping[int, int]) -> list[Ref]:
    """References, each once, with the object in place of its dict, and an attribute in place of the key.

    Args:
        refs: As they were found.
        holders: Dict -> the instance, module or class that it is the dict of.
    """
    return list(
        dict.fromkeys(
            Ref(holders[ref.owner], f"attr:{ref.how[5:-1]}")
            if ref.owner in holders and ref.how.startswith("key:'")
            else ref
            for ref in refs
        )
    )


class References:
    """Leads from objects to the places that have their addresses, and from these to who refers.

    Args:
        objects: What reads them.
        tables: Of all containers, where they were noted already; else each question notes them again.
        known: Objects that are known to be there, of kinds that may refer to many.
    """

    def __init__(self, objects: Objects, tables: Tables | None = None, known: Iterable[int] = ()) -> None:
        self._objects = objects
        self._tables = tables
        self._holders = Holders(objects, known)

    def places(self, addresses: Iterable[int]) -> dict[int, list[int]]:
        """Where the addresses of these objects are, in one pass over the memory."""
        wanted = {address for address in addresses if address}
        if not wanted:
            return {}
        tagged = {word | 1: word for word in wanted} if self._objects.layout.get("tags", 0) > 0 else {}
        found: dict[int, list[int]] = {address: [] for address in wanted}
        left = _MAX_PLACES
        for word, there in self._objects.memory.find(wanted | tagged.keys()).items():
            found[tagged.get(word, word)] += there[:left]
            left -= len(there[:left])
        return found

    def to(self, places: Mapping[int, list[int]]) -> dict[int, list[Ref]]:
        """Object -> who refers to it from these places: live objects, and running frames."""
        of = {place: address for address, some in places.items() for place in some}
        found: dict[int, dict[Ref, None]] = {address: {} for address in places}
        for place, ref in self._owners(list(of)):
            found[of[place]][ref] = None
        return {address: list(some) for address, some in found.items()}

    def holders_of(self, dicts: set[int]) -> dict[int, int]:
        """Dict -> the object that it is the dict of, for those that are one's; in one pass."""
        return self.holders_at(self.places(dicts))

    def holders_at(self, places: Mapping[int, list[int]]) -> dict[int, int]:
        """The same, where it is known already where the addresses of these dicts are."""
        found = {}
        for one, some in places.items():
            holder = next((held for place in some[:_MOST_HOLDERS] if (held := self._holder(one, place))), 0)
            if holder:
                found[one] = holder
        return found

    def _owners(self, places: list[int]) -> list[tuple[int, Ref]]:
        """(place, reference) of each place that a live object has, or a running frame."""
        found: list[tuple[int, Ref]] = []
        left = set(places)
        for place, owner, how in self._noted().owners(sorted(places)) if places else ():
            found.append((place, Ref(owner, how)))
            left.discard(place)
        for place in sorted(left):
            held = self._holders.at(place)
            if held is not None:
                left.discard(place)
                if held[1]:
                    found.append((place, Ref(*held)))
        if left:
            found += self._running(left)
        return found

    def _noted(self) -> Tables:
        if self._tables is not None:
            return self._tables
        tables = Tables(self._objects)
        tables.read()
        return tables

    def _running(self, places: set[int]) -> Iterator[tuple[int, Ref]]:
        for thread in Frames(self._objects).threads():
            for frame in thread.frames:
                names = frame.info.locals_names
                for place in places:
                    index = (place - frame.first) // 8
                    if 0 <= index < len(names):
                        yield place, Ref(0, f"thread:{thread.native}:local:{names[index]}")
                    elif len(names) <= index < len(names) + len(frame.stack):
                        yield place, Ref(0, f"thread:{thread.native}:stack:{index - len(names)}")

    def _holder(self, one: int, place: int) -> int:
        objects, layout = self._objects, self._objects.layout
        managed = layout.get("managed_dict", 0)
        if managed:
            candidate = place - managed
            if objects.instance_dict(candidate) == one and objects.is_live(candidate):
                return candidate
        held = self._holders.object_at(place)
        if not held:
            return 0
        kind = objects.kind(held)
        if kind == "module":
            return held if objects.module_dict(held) == one else 0
        if kind == "type":
            return held if objects.memory.u64(held + layout["tp_dict"]) == one else 0
        return held if objects.instance_dict(held) == one else 0
