"""ENV201 to ENV212: what keys and values mean. The functions are in the ``meaning_*`` modules beside it."""

from __future__ import annotations

from typing import Final

from exai_ops.env.rules import meaning_names as keys
from exai_ops.env.rules import meaning_network as network
from exai_ops.env.rules import meaning_settings as settings
from exai_ops.env.rules.table import Rule
from exai_ops.findings import Status

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        code="ENV201",
        severity=Status.WARNING,
        title="no key is a misspelling of a known one",
        hint="write the name that is known",
        explanation="A misspelt key is set and read by nobody: its default applies, and nothing says"
        " so. Known are exai's settings with their other names, what its stack takes beside them, what"
        " the code reads (--code), and what the compose file takes. A key is reported when it is like a"
        " known one but for a letter or two in one word, for the order of its words or for its"
        " underscores; and when it begins with EXAI_ and exai has no such variable. Any other key may be"
        " read by a program that exai knows nothing of, so nothing is said of it here. What the system,"
        " interpreters, tools and images read (TZ, PYTHON*, COMPOSE_*, REDIS_HOSTS) is not asked about.",
        function=keys.unknown,
    ),
    Rule(
        code="ENV202",
        severity=Status.WARNING,
        title="no key is set that was taken out",
        hint="take it out, or set what replaced it",
        explanation="A key that once was read looks as if it still did something. The table in"
        " `exai_ops/env/removed.py` says since when it is dead and what stands in its place:"
        " MESSAGE_BUS_* went with the message bus, and the ports of dashboard, health and metrics went"
        " into EXAI_WS_PORT, since one port serves them all. With --code, a key that the code still"
        " reads is not reported.",
        function=keys.gone,
    ),
    Rule(
        code="ENV203",
        severity=Status.WARNING,
        title="every variable that code reads is in an environment file",
        hint="add it to the example with a comment, if only as a comment: # KEY=",
        explanation="A variable that no file names can only be found by reading the code. Needs"
        " --code: Python is read by its syntax tree (os.environ, os.getenv and their aliases,"
        " pydantic-settings, django-environ, environs, decouple, and functions that read what an"
        " argument names), JavaScript and TypeScript by their tokens (process.env, import.meta.env,"
        " Deno.env, Bun.env); nothing is run. An assignment in a comment counts as documented, and so"
        " does another name of the same setting. It is info for what only tests or shell scripts read;"
        " what a Dockerfile names it also sets, so that is not reported, nor is what the system or an"
        " interpreter sets.",
        function=keys.undocumented,
    ),
    Rule(
        code="ENV204",
        severity=Status.WARNING,
        title="every key is read by the code",
        hint="take it out, or read it",
        explanation="A key that nothing reads is a promise that the program does not keep. Needs"
        " --code. Counted as read is also what the compose file takes by ${...} or passes on, what its"
        " commands take by $$NAME, and what the images of its services are known to read. Where the"
        " code reads a name that is put together as it runs, or a file could not be parsed, absence"
        " proves nothing: then it is info, and says where. Keys that ENV201 or ENV202 report are left"
        " to them.",
        function=keys.unread,
    ),
    Rule(
        code="ENV205",
        severity=Status.ERROR,
        title="every setting has a value that it takes",
        hint="write a value of the type and range that the finding names",
        explanation="The daemon refuses to start with a value that its setting does not take, and"
        " says so then; this says it now. Judged is what python-dotenv reads from each file. Empty"
        " values count as unset; placeholders are left to ENV303, comments in place of a value to"
        " ENV104. Values of secrets are not shown.",
        function=settings.types,
    ),
    Rule(
        code="ENV206",
        severity=Status.WARNING,
        title="names of one setting have one value",
        hint="keep one of the names",
        explanation="Some settings have several names, kept for old files: KIMI_API_URL,"
        " MOONSHOT_API_URL and KIMI_BASE_URL are one. The first that is set wins, and whoever changes"
        " the other wonders why nothing happens. `exai settings example` lists the names in their"
        " order.",
        function=settings.aliases,
    ),
    Rule(
        code="ENV207",
        severity=Status.ERROR,
        title="what waits has a longer timeout than what it waits for",
        hint="lengthen the outer timeout or shorten the inner one",
        explanation="An outer timeout that ends first cuts off an answer on its way, and the inner"
        " one that would have said why never fires: tool, then daemon at 1.5 times, then bridge, then"
        " client. The deadline of a permit (EXAI_WS_INFLIGHT_TTL_SECS) is longer than a call, or busy"
        " calls are named as leaks. The daemon refuses to start with its own timeouts out of order, so"
        " those are errors; where a file sets one of two, the other's default counts. The names of"
        " older daemons (TOOL_TIMEOUT_SECS, DAEMON_TIMEOUT_SECS, SHIM_TIMEOUT_SECS,"
        " CLIENT_TIMEOUT_SECS and the like) are compared among themselves, as warnings.",
        function=settings.timeouts,
    ),
    Rule(
        code="ENV208",
        severity=Status.WARNING,
        title="the ping interval is 20 to 30 s",
        hint="write EXAI_WS_PING_INTERVAL=30",
        explanation="Two mistakes have been made here. With 45 s clients were dropped in long calls:"
        " a proxy on the way closes a connection that is idle for as long as its own timeout, often 60"
        " s and sometimes less, and a ping that is late once is too late. With 3 s it was worse: pings"
        " got in the way of the work, and a busy client missed them. 30 s holds.\n\n"
        "So below 20 and above 60 s is a warning. From 30 to 60 s is info: it works where you know"
        " every idle timeout on the way, as 45 did until it did not. RFC 6455 names no number,"
        " whatever comments in old files say.",
        function=settings.ping,
    ),
    Rule(
        code="ENV209",
        severity=Status.ERROR,
        title="a password is the same alone and inside its URL",
        hint="make them the same, or build the URL from the password: ${REDIS_PASSWORD}",
        explanation="REDIS_PASSWORD is what the server asks for, REDIS_URL what the client brings;"
        " when one is changed without the other, authentication fails at the first connection. Any"
        " X_URL and X_PASSWORD are compared, the one in the URL also decoded (%2F is /). Neither is"
        " shown.",
        function=network.passwords,
    ),
    Rule(
        code="ENV210",
        severity=Status.ERROR,
        title="who listens beyond loopback asks for a token",
        hint="set EXAI_WS_TOKEN, or listen on 127.0.0.1",
        explanation="0.0.0.0 is every address of the machine: whoever reaches one of them uses your"
        " keys. The daemon refuses to start that way. Judged are each file by itself and what each"
        " service of the compose file gets; for the example it is a warning, since its token is empty"
        " on purpose and a copy does not start.",
        function=network.open_address,
    ),
    Rule(
        code="ENV211",
        severity=Status.WARNING,
        title="no two ports are the same",
        hint="give one of them another port",
        explanation="Two servers on one port: the second does not start, or answers in place of the"
        " first. Compared are keys that end in PORT, but for those of services elsewhere (REDIS_PORT,"
        " SMTP_PORT), other names of one setting, 0 (a free port), and ports on different hosts"
        " (X_HOST).",
        function=network.ports,
    ),
    Rule(
        code="ENV212",
        severity=Status.INFO,
        title="settings of Redis stand in the file of the stack alone",
        hint="move them to .env.docker",
        explanation="A house rule. Compose resolves ${REDIS_PASSWORD} from the file of --env-file"
        " (.env without it) and the containers get theirs from env_file: with settings of Redis in"
        " both .env and .env.docker the two drift apart, and the server asks for one password while"
        " the client brings the other. Whoever uses .env alone has nothing to move.",
        function=network.redis_in_main,
    ),
)
