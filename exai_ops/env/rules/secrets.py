"""ENV301 to ENV311: secrets. The functions are in ``secret_values``; ``exai env scan`` has the last two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from exai_ops.env.rules import secret_values as values
from exai_ops.env.rules.table import Context, Rule
from exai_ops.findings import Finding, Status

TRACKED: Final = "ENV310"
HISTORY: Final = "ENV311"


def by_scan(_context: Context) -> Iterable[Finding]:
    """Nothing: ``exai env scan`` reads every tracked file, and the history."""
    return ()


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        code="ENV301",
        severity=Status.ERROR,
        title="the example holds no secret",
        hint="leave the value empty, and make a new one where it was issued",
        explanation="The example is for everybody who has the repository, and its history keeps it. A"
        " secret is told by its shape (a JSON Web Token, sk-, AWS, GitHub, Slack, a private key, a"
        " password in a URL and others) and else by its key: what is named KEY, TOKEN, SECRET,"
        " PASSWORD and the like and has a real value. It is a warning where the value has neither a"
        " known shape nor random characters, for tokens with the role anon, for a URL of this machine and"
        " for what Django marks django-insecure-. Not taken for secrets"
        " are placeholders (your-..., changeme, <...>, xxxx), references (${...}), test words,"
        " sequences, and keys that [tool.exai] public lists. Values are not shown.",
        function=values.in_example,
    ),
    Rule(
        code="ENV302",
        severity=Status.ERROR,
        title="git tracks no file in use that holds secrets",
        hint="git rm --cached it, put it into .gitignore, and make new secrets",
        explanation="What is committed is published to everybody with a clone, now and later. Judged"
        " are the live file, the .env beside it and what env_file of the compose file names, as far as"
        " git tracks them; `exai env scan` reads every tracked file, and with --history what once was"
        " in one.",
        function=values.in_tracked,
    ),
    Rule(
        code="ENV303",
        severity=Status.ERROR,
        title="the live file holds no placeholder",
        hint="fill it in, or leave it empty",
        explanation="your_api_key_here is a value like any other: the program takes it for a key, and"
        " the provider answers 401 some time later. Empty counts as unset and is noticed at once. It"
        " is a warning for keys that are not named like secrets.",
        function=values.placeholders,
    ),
    Rule(
        code="ENV304",
        severity=Status.WARNING,
        title="tokens and passwords are long and random",
        hint="make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        explanation="A token that a person made up is guessed by a list. Asked of keys that end in"
        " TOKEN, PASSWORD, SECRET, SECRET_KEY and the like in the live file: at least 16 characters,"
        " not of few different ones, and not of the words and sequences that are tried first (test,"
        " token, 12345). API keys are the provider's to make.",
        function=values.weak,
    ),
    Rule(
        code="ENV305",
        severity=Status.WARNING,
        title="every secret is used once",
        hint="make one for each purpose",
        explanation="One value under two keys: whoever gets the one has the other, and changing one"
        " is forgotten for the other. Names of one setting (KIMI_API_KEY and MOONSHOT_API_KEY) are one"
        " key.",
        function=values.repeated,
    ),
    Rule(
        code="ENV306",
        severity=Status.ERROR,
        title="comments hold no secret, and the example no real project",
        hint="write a made-up one",
        explanation="Comments are where an old key is kept just in case, and where an e.g. shows the"
        " address of the project that the author had open. Asked of the example and of tracked files."
        " The address of a Supabase project or of a hosted database, in a comment or a value of the"
        " example, is a warning: it is no secret, but it says where to knock.",
        function=values.in_comments,
    ),
    Rule(
        code=TRACKED,
        severity=Status.ERROR,
        title="no tracked file holds a secret",
        hint="take it out, and make a new one where it was issued",
        explanation="Found by `exai env scan`, which reads every file that git tracks: dotenv files"
        " as they are, other configuration where a random value stands under the name of a secret,"
        " code where it stands in quotes; known shapes everywhere. Keys, files and lines are named,"
        " values never. A line is left out by `# exai:ignore[ENV310] reason` on it or above it, files"
        " and keys by [tool.exai] ignore.",
        function=by_scan,
        elsewhere=True,
    ),
    Rule(
        code=HISTORY,
        severity=Status.ERROR,
        title="no secret was in a file that git tracked",
        hint="make a new one where it was issued: to rewrite the history does not reach the clones",
        explanation="Found by `exai env scan --history`, which reads every line that a commit of any"
        " branch or tag added. Reported is what is not in the tracked files any more, with the first"
        " commit that had it; what still is there is ENV310 and names that commit too.",
        function=by_scan,
        elsewhere=True,
    ),
)
