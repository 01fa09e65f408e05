"""Which values of a live file may stand in the example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from exai_ops.env.lines import whole
from exai_ops.env.masking import Mask, has_credentials, hidden
from exai_ops.env.model import Assignment
from exai_ops.env.shown import is_secret_key, may_differ, measures

_SWITCH: Final = re.compile(r"true|false|yes|no|on|off|localhost|127\.0\.0\.1|0\.0\.0\.0|::1?", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,6})?")
_DATABASE: Final = re.compile(r"(?:.*_)?DB", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What decides about values.

    Attributes:
        public: Patterns (fnmatch) of keys whose values may stand in the example.
        differ: Patterns of keys whose values may differ between the files.
        variables: Known variables by name, aliases included; those that are no secrets are public.
    """

    public: tuple[str, ...] = ()
    differ: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)

    def publishable(self, assignment: Assignment, mask: Mask) -> bool:
        """Whether the live file's value may be copied into the example.

        Public are: an empty value; what ``public`` lists; the settings that are no secrets; switches, and
        addresses that every machine has; numbers whose names say that they measure something. A pattern
        with wildcards and the rules of thumb stop at what looks like a secret; a key listed by its full
        name is public as told, unless it is a URL with a password in it.
        """
        key, value = assignment.key, whole(assignment)
        variable = self.variables.get(key)
        if not value:
            return True
        if has_credentials(value) or (variable is not None and variable.kind == "secret"):
            return False
        if key in self.public:
            return True
        if is_secret_key(key) or hidden(key, value) or mask.holds(value):
            return False
        return variable is not None or _fits(key, self.public) or _harmless(key, value)

    def follows(self, example: Assignment, live: Assignment, mask: Mask) -> bool:
        """Whether the example's value is to become the live one.

        Not where the two may rightly differ: hosts, paths, placeholders, secrets, and ``differ``.
        """
        if whole(example) == whole(live) or not live.value or _fits(live.key, self.differ):
            return False
        listed = live.key in self.public
        rightly = may_differ(live.key, whole(example), whole(live))
        return (listed or rightly is None) and self.publishable(live, mask)


def _fits(key: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _harmless(key: str, value: str) -> bool:
    if _SWITCH.fullmatch(value):
        return True
    if _DATABASE.fullmatch(key):
        return value.isdigit() and len(value) <= 2  # the number of a database of Redis
    return measures(key) and _NUMBER.fullmatch(value) is not None
