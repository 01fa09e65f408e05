"""From what was found to holders: who accounts for the permits that are out. Pure.

Calls that took permits come first. What merely gives back, or carries, accounts for no more than is still
missing: nothing that is found here makes a permit be out that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from exai_ops.sem.model import Holder
from exai_ops.sem.passive.callbacks import Callback
from exai_ops.sem.passive.leases import Carried
from exai_ops.sem.passive.taken import Account
from exai_ops.sem.passive.tokens import Token


def unexplained(missing: int, holders: Iterable[Holder]) -> int:
    """Permits that are out and that no certain holder has; below zero when there are more holders."""
    certain = [holder.permits for holder in holders if holder.certain]
    if None in certain:
        return 0
    return missing - sum(permits or 0 for permits in certain)


def settle(
    missing: int | None,
    account: Account,
    carried: Carried | None = None,
    callbacks: Sequence[Callback] = (),
) -> list[Holder]:
    """The holders of a semaphore's permits.

    Args:
        missing: Permits that are out, None when the bound is not known.
        account: What calls have and owe.
        carried: What objects carry, when that was looked for.
        callbacks: What will be called, the same.
    """
    if missing is None:
        return [*account.took, *account.owes]
    holders = list(account.took)
    for owing in account.owes:
        left = unexplained(missing, holders)
        if owing.certain and left > 0:
            holders.append(replace(owing, permits=min(owing.permits or 1, left)))
    tokens = [*account.tokens, *(carried.tokens if carried is not None else ())]
    groups = _groups(carried, callbacks, [_beside(token, account, callbacks) for token in tokens])
    if missing < 0:  # given back too often already: what is about to give back will do so once more
        holders += [Holder("callback", one.what, permits=one.times) for one in callbacks if one.scheduled]
    holders += _carriers(groups, unexplained(missing, holders))
    if unexplained(missing, holders) > 0:
        holders += [owing for owing in account.owes if not owing.certain]
        if carried is not None:
            holders += [Holder("function", name, permits=None, certain=False) for name in carried.open]
            holders += [Holder("object", name, certain=False) for name in carried.loose.values()]
    return holders


def _beside(token: Token, account: Account, callbacks: Sequence[Callback]) -> Token:
    """A token without what stands for what is booked: tasks, and what others are going to take out."""
    scheduled = sum(one.times for one in callbacks if one.scheduled and token.by in one.by)
    number = token.number - sum(item in account.tasks for item in token.items)
    return token._replace(number=max(0, number - account.through[token.by] - scheduled))


def _groups(
    carried: Carried | None, callbacks: Sequence[Callback], tokens: list[Token]
) -> list[list[Holder]]:
    """What accounts for permits in the same way: each may, or all of them."""
    scheduled = [Holder("callback", one.what, permits=one.times) for one in callbacks if one.scheduled]
    kept = [Holder("callback", one.what, permits=one.times) for one in callbacks if not one.scheduled]
    leases = dict(carried.leases) if carried is not None else {}
    objects = [Holder("object", name) for name in leases.values()]
    callables = {one.callable for one in callbacks}
    groups = [scheduled, objects, kept]
    groups += [
        [Holder("entries", token.what, permits=token.number)]
        for token in _distinct(tokens)
        if token.number and leases.keys().isdisjoint(token.items) and callables.isdisjoint(token.items)
    ]
    return [group for group in groups if group]


def _distinct(tokens: Iterable[Token]) -> list[Token]:
    """Each container once."""
    return list({token.owner: token for token in tokens}.values())


def _carriers(groups: list[list[Holder]], left: int) -> list[Holder]:
    """The groups that account for what is left: one that does exactly, else all when they are no more."""
    if left <= 0:
        return []
    for group in groups:
        if _sum(group) == left:
            return group
    every = [holder for group in groups for holder in group]
    if _sum(every) <= left:
        return every
    found: list[Holder] = []
    for group in groups:
        if _sum(group) + _sum(found) <= left and group[0].what == "callback":
            found += group
    rest = [holder for holder in every if holder not in found]
    return [*found, *(_possible(holder) for holder in rest)]


def _sum(holders: Iterable[Holder]) -> int:
    return sum(holder.permits or 0 for holder in holders)


def _possible(holder: Holder) -> Holder:
    return Holder(holder.what, holder.name, holder.stack, holder.permits, certain=False)
