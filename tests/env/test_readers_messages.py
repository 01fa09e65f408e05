"""No message of a reader holds a value, or a piece of one."""

from __future__ import annotations

import pytest

from exai_ops.env.readers import READERS

# Each stands where a value may stand; none is part of a word that a message may use.
SECRET = "Zq7Xv9Kw"
ENVIRON = {"TOKEN": f"{SECRET}-shell", "EMPTY": ""}
FORMS = (
    "A={}", "A='{}", 'A="{}', 'A="{}"tail', "A='x' {}", "A={} {}", "A=x {}", "A= # {}", "A=`{}`", "A=$({})",
    "A=${{{}", "A=${{{}:-x}}", "A=${{NOPE:?{}}}", "A=${{NOPE?{}}}", "A=${{EMPTY:?{}}}", "A=${{{}!}}",
    "A=${{}}{}", "A=${{NOPE:-${{{}!}}}}", "{}", "{} x", "={}", " ={}", "export {}", "export {} x",
    "export 'A={}", "$({})", "A B={}", "A-{}=1", "1{}=1", "{}é=1", "\ufeff{}", 'A="x\n{}\n', "A='x\n{}\n",
    "A=1\\\n{}\n", "A:{}", "A=|{}", "A=x&{}", "A=x;{}", "A=x>{}", "A=({} x)", "A[0]={}", "A+={}", "UID={}",
    "if {}", "A=x\0{}", "A=\udcff{}", "{}\udcff=1", "'{}'=1", '"{}"', "A=$'{}", "A=~{}", "A=${{!{}}}",
    "cat <<{}", "set -{}", "unset {}", "A=\"${{B:={}\"", "_={}", "-----BEGIN\n{}\n-----END", "A=$TOKEN x",
    "A=${{TOKEN:+${{NOPE:?$TOKEN}}}}", "A=${{NOPE:?$TOKEN}}", "A=a#{}", "A={}" * 9000,
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: repr(form[:30]))
def test_messages_hold_no_value(reader: str, form: str) -> None:
    text = form.replace("{}", SECRET).replace("{{", "{").replace("}}", "}")
    for end in ("", "\n", "\r\n", "\nB=1\n"):
        found = READERS[reader]((text + end).encode("utf-8", "surrogateescape"), ENVIRON)
        said = [problem.message for problem in found.problems] + [found.refused or ""]
        assert not [message for message in said if SECRET[:4] in message or SECRET[-4:] in message]
