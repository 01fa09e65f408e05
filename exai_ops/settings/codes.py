"""The codes of what can be wrong with the settings, each with its title."""

from __future__ import annotations

from typing import Final

CODES: Final = {
    "SET001": "a value that its variable does not take",
    "SET002": "a number out of range",
    "SET003": "a word that is none of the choices",
    "SET004": "an address beyond loopback without a token",
    "SET005": "timeouts that contradict each other",
    "SET006": "a variable that looks like ours and is not read (warning)",
    "SET007": "a name that is ignored, since another of the same variable is set (warning)",
    "SET008": "a line of the dotenv file that is no assignment (warning)",
    "SET009": "a dotenv file that cannot be read",
}
