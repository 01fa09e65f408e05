"""The tables of the SQLite store, their version, and the view through which a batch is written.

``MIGRATIONS[n]`` takes a file from version n to n + 1; ``PRAGMA user_version`` holds the version.

A batch is written by ONE statement: the rows of all its operations go into the view ``op``, and the
triggers of the view do for each row, in order, what its kind says. Such a statement is a transaction
by itself, and the interpreter lock is given up and taken again three times for a whole batch, where
``executemany`` does so twice a row (``writer`` says why that matters). CPU of the three writes of a
call, in batches of 16 calls: 31 us, with one ``executemany`` for each kind 30, with ``executemany`` on
the view 44; in batches of 32 calls 32 us, with the rows as JSON through ``json_each`` 35. View and
triggers are temporary: they belong to the connection, so the file holds plain tables alone.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x45584149  # "EXAI"

# STRICT tables came with it.
MINIMUM_SQLITE: Final = (3, 37, 0)

MIGRATIONS: Final = (
    """
    CREATE TABLE sessions(
        session_id TEXT PRIMARY KEY,
        resume_hash TEXT,
        created_at REAL NOT NULL,
        last_used_at REAL NOT NULL
    ) STRICT;
    CREATE INDEX sessions_last_used ON sessions(last_used_at);

    CREATE TABLE calls(
        pk INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL,
        request_id TEXT NOT NULL,
        tool TEXT NOT NULL,
        digest TEXT NOT NULL,
        daemon TEXT NOT NULL,
        accepted_at REAL NOT NULL,
        state TEXT NOT NULL,
        finished_at REAL,
        result TEXT,
        UNIQUE(session_id, request_id)
    ) STRICT;
    CREATE INDEX calls_finished ON calls(finished_at);

    -- A conversation that is being dropped has no id: unseen at once, its messages go by and by.
    CREATE TABLE conversations(
        pk INTEGER PRIMARY KEY,
        id TEXT UNIQUE,
        last_used_at REAL NOT NULL
    ) STRICT;

    CREATE TABLE messages(
        pk INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations(pk),
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        created_at REAL NOT NULL,
        tokens INTEGER NOT NULL,
        metadata TEXT NOT NULL
    ) STRICT;
    CREATE INDEX messages_conversation ON messages(conversation);

    CREATE TABLE checks(id INTEGER PRIMARY KEY CHECK (id = 1), at REAL NOT NULL) STRICT;
    """,
)
VERSION: Final = len(MIGRATIONS)

# Kinds of rows of the view. Each row is (kind, a, b, c, d, e, f, g).
ACCEPT: Final = 1  # session, request, tool, digest, daemon, accepted_at, -
SETTLE: Final = 2  # session, request, state, finished_at, result, -, -
FIRST_MESSAGE: Final = 3  # conversation, role, content, created_at, tokens, metadata, last use
NEXT_MESSAGE: Final = 4  # conversation, role, content, created_at, tokens, metadata, -
SESSION: Final = 5  # session, resume_hash, created_at, -, -, -, -
WIDTH: Final = 8

_INSERT_MESSAGE: Final = """
    INSERT INTO messages(conversation, role, content, created_at, tokens, metadata)
    VALUES ((SELECT pk FROM conversations WHERE id = NEW.a), NEW.b, NEW.c, NEW.d, NEW.e, NEW.f);
"""

WRITE_VIEW: Final = f"""
CREATE TEMP VIEW op(kind, a, b, c, d, e, f, g) AS SELECT 0, 0, 0, 0, 0, 0, 0, 0;

CREATE TEMP TRIGGER op_accept INSTEAD OF INSERT ON op WHEN NEW.kind = {ACCEPT} BEGIN
    INSERT INTO calls(session_id, request_id, tool, digest, daemon, accepted_at, state)
    VALUES (NEW.a, NEW.b, NEW.c, NEW.d, NEW.e, NEW.f, 'running')
    ON CONFLICT(session_id, request_id) DO UPDATE SET
        tool = excluded.tool, digest = excluded.digest, daemon = excluded.daemon,
        accepted_at = excluded.accepted_at, state = 'running', finished_at = NULL, result = NULL;
END;

CREATE TEMP TRIGGER op_settle INSTEAD OF INSERT ON op WHEN NEW.kind = {SETTLE} BEGIN
    UPDATE calls SET state = NEW.c, finished_at = NEW.d, result = NEW.e
    WHERE session_id = NEW.a AND request_id = NEW.b;
END;

CREATE TEMP TRIGGER op_first_message INSTEAD OF INSERT ON op WHEN NEW.kind = {FIRST_MESSAGE} BEGIN
    INSERT INTO conversations(id, last_used_at) VALUES (NEW.a, NEW.g)
    ON CONFLICT(id) DO UPDATE SET last_used_at = max(last_used_at, excluded.last_used_at);
    {_INSERT_MESSAGE}
END;

CREATE TEMP TRIGGER op_next_message INSTEAD OF INSERT ON op WHEN NEW.kind = {NEXT_MESSAGE} BEGIN
    {_INSERT_MESSAGE}
END;

CREATE TEMP TRIGGER op_session INSTEAD OF INSERT ON op WHEN NEW.kind = {SESSION} BEGIN
    INSERT INTO sessions(session_id, resume_hash, created_at, last_used_at)
    VALUES (NEW.a, NEW.b, NEW.c, NEW.c)
    ON CONFLICT(session_id) DO UPDATE SET
        resume_hash = excluded.resume_hash, created_at = excluded.created_at,
        last_used_at = max(last_used_at, excluded.last_used_at);
END;
"""  # noqa: S608 - made of constants

SELECT_SESSION: Final = "SELECT resume_hash, created_at FROM sessions WHERE session_id = ?"
_CALL_COLUMNS: Final = "session_id, request_id, tool, digest, daemon, accepted_at, state, finished_at, result"
SELECT_CALL: Final = f"SELECT {_CALL_COLUMNS} FROM calls WHERE session_id = ? AND request_id = ?"  # noqa: S608
INTERRUPT_RUNNING: Final = f"""
    UPDATE calls SET state = 'interrupted', finished_at = ?
    WHERE finished_at IS NULL AND state = 'running'
    RETURNING {_CALL_COLUMNS}
"""  # noqa: S608
SELECT_MESSAGES: Final = """
    SELECT m.role, m.content, m.created_at, m.tokens, m.metadata
    FROM conversations c JOIN messages m ON m.conversation = c.pk WHERE c.id = ? ORDER BY m.pk
"""

WRITE_CHECK: Final = "INSERT INTO checks VALUES (1, ?) ON CONFLICT(id) DO UPDATE SET at = excluded.at"
READ_CHECK: Final = "SELECT at FROM checks WHERE id = 1"
# A row for each kind, which touch every table and index; written on trial, and taken back.
TRIAL: Final = (
    ACCEPT, "", "", "", "", "", 0.0, None,
    SETTLE, "", "", "done", 0.0, "", None, None,
    FIRST_MESSAGE, "", "", "", 0.0, 0, "{}", 0.0,
    SESSION, "", None, 0.0, None, None, None, None,
)  # fmt: skip

# A call that is dropped leaves its time with its session: a session's last use outlives its results.
KEEP_LAST_USE: Final = """
    UPDATE sessions SET last_used_at = max(last_used_at, used.at)
    FROM (SELECT session_id, max(finished_at) AS at
          FROM (SELECT session_id, finished_at FROM calls WHERE finished_at < :before
                ORDER BY finished_at, pk LIMIT :some)
          GROUP BY session_id) AS used
    WHERE sessions.session_id = used.session_id
"""
DROP_CALLS: Final = """
    DELETE FROM calls WHERE pk IN
        (SELECT pk FROM calls WHERE finished_at < :before ORDER BY finished_at, pk LIMIT :some)
"""
SPAN_OF_CONVERSATIONS: Final = "SELECT min(pk), max(pk) FROM conversations"
HIDE_CONVERSATIONS: Final = """
    UPDATE conversations SET id = NULL
    WHERE pk BETWEEN :low AND :high AND id IS NOT NULL AND last_used_at < :before
"""
SWEEP_MESSAGES: Final = """
    DELETE FROM messages WHERE pk IN
        (SELECT m.pk FROM conversations c JOIN messages m ON m.conversation = c.pk
         WHERE c.id IS NULL LIMIT :some)
"""
SWEEP_CONVERSATIONS: Final = """
    DELETE FROM conversations WHERE pk IN (SELECT pk FROM conversations WHERE id IS NULL LIMIT :some)
"""
DROP_SESSIONS: Final = """
    DELETE FROM sessions WHERE session_id IN
        (SELECT session_id FROM sessions AS s WHERE last_used_at < :before AND NOT EXISTS
            (SELECT 1 FROM calls WHERE calls.session_id = s.session_id
             AND (finished_at IS NULL OR finished_at >= :before OR accepted_at >= :before))
         LIMIT :some)
"""


def insert_rows(count: int) -> str:
    """The statement that writes ``count`` rows of the view."""
    row = "(" + ",".join("?" * WIDTH) + ")"
    return "INSERT INTO op VALUES " + ",".join([row] * count)  # noqa: S608
