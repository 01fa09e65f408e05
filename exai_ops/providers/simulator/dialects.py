"""Each vendor's shapes: routes, errors, models, completions and the frames of a stream.

Sources: the error tables of docs.z.ai (api-code) and platform.moonshot.ai (errors), and the streams that
both document. Kimi puts the usage of a stream into the last choice, and at the top of a further chunk
when ``stream_options.include_usage`` asks for it; GLM always puts it at the top of the last chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from exai_ops.providers.models import MODELS
from exai_ops.providers.simulator.answers import Answer
from exai_ops.providers.simulator.faults import Fault, FaultError

# The same request gives the same bytes, so the time of creation is not the clock's.
CREATED: Final = 1_760_000_000
RESET_AT: Final = "2030-01-01 00:00:00"

_encode: Final = msgspec.json.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor.

    Attributes:
        base: Path of its API, without a slash at the end.
        errors: ``{code: (HTTP status, message)}``; the code is GLM's number or Kimi's type.
        by_status: The code of an error that is asked for by its status alone.
        refusals: ``{reason: code}`` of what the simulator itself refuses.
        error_body: Makes the error object of a code and a message.
        final: Makes the last chunks of a stream, as objects without ``id``, ``created`` and ``model``.
        windows: ``{model: tokens}``.
    """

    name: str
    base: str
    errors: Mapping[str, tuple[int, str]]
    by_status: Mapping[int, str]
    refusals: Mapping[str, str]
    error_body: Callable[[str, str], dict[str, Any]]
    final: Callable[[Answer, bool], list[dict[str, Any]]]
    windows: Mapping[str, int]

    def error(self, code: str, detail: str = "", *, status: int | None = None) -> tuple[int, bytes]:
        """Status and body of an error; ``detail`` replaces the usual message."""
        usual_status, message = self.errors.get(code, (status or 500, "simulated error"))
        return status or usual_status, _encode(self.error_body(code, detail or message))

    def refusal(self, reason: str, detail: str = "") -> tuple[int, bytes]:
        """Status and body of what the simulator itself refuses."""
        return self.error(self.refusals[reason], detail)

    def fault_error(self, fault: Fault) -> tuple[int, bytes]:
        """Status and body of an error that was asked for."""
        code = fault.code or self._code_for(fault.status or 500)
        return self.error(code, status=fault.status)

    def has_code(self, fault: Fault) -> bool:
        """Whether the fault's code is this vendor's; a status that comes with it excuses any."""
        return fault.code is None or fault.status is not None or fault.code in self.errors

    def check(self, fault: Fault) -> None:
        """Raises FaultError for a code that this vendor does not have."""
        if not self.has_code(fault):
            raise FaultError("code", f"{fault.code} is not one of {self.name}: {', '.join(self.errors)}")

    def models(self) -> bytes:
        """The body of GET /models."""
        owner = {"kimi": "moonshot", "glm": "z-ai"}[self.name]
        rows = [
            {"id": name, "object": "model", "created": CREATED, "owned_by": owner, "context_length": tokens}
            for name, tokens in self.windows.items()
        ]
        return _encode({"object": "list", "data": rows})

    def _code_for(self, status: int) -> str:
        if status in self.by_status:
            return self.by_status[status]
        return self.by_status[500 if status >= 500 else 400]


def balance(available: float) -> bytes:
    """The body of Kimi's GET /users/me/balance; all of it is cash."""
    data = {"available_balance": available, "voucher_balance": 0.0, "cash_balance": available}
    return _encode({"code": 0, "data": data, "scode": "0x0", "status": True})


def completion(dialect: Dialect, ident: str, model: str, answer: Answer) -> bytes:
    """The body of an unstreamed answer."""
    message = {"role": "assistant", "content": answer.text}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    body: dict[str, Any] = {
        "id": ident,
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": answer.usage,
    }
    if dialect.name == "glm":
        body |= {"request_id": ident} | _web_search(answer)
    return _encode(body)


def search_round(ident: str, model: str, query: str, *, stream: bool) -> dict[str, Any]:
    """Kimi's request that the client hand ``$web_search`` its own arguments back, as chunk or whole."""
    function = {"name": "$web_search", "arguments": _encode({"query": query}).decode()}
    call = {"index": 0, "id": f"$web_search:{ident}", "type": "builtin_function", "function": function}
    part = {"role": "assistant", "content": "", "tool_calls": [call]}
    choice = {"index": 0, "delta" if stream else "message": part, "finish_reason": "tool_calls"}
    kind = "chat.completion.chunk" if stream else "chat.completion"
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    whole = {"id": ident, "object": kind, "created": CREATED, "model": model, "choices": [choice]}
    return whole | ({} if stream else {"usage": usage})


def opening(ident: str, model: str) -> bytes:
    """The first frame of a stream, which names the role."""
    delta = {"role": "assistant", "content": ""}
    return frame(_chunk(ident, model, [{"index": 0, "delta": delta, "finish_reason": None}]))


def text_frames(ident: str, model: str, key: str, pieces: list[str]) -> list[bytes]:
    """A frame for each piece; ``key`` is ``content`` or ``reasoning_content``."""
    # Only the piece differs from frame to frame: the rest is encoded once.
    mark = _chunk(ident, model, [{"index": 0, "delta": {key: 0}, "finish_reason": None}])
    head, tail = frame(mark).split(b'":0},"finish_reason"')
    head, tail = head + b'":', b'},"finish_reason"' + tail
    return [head + _encode(piece) + tail for piece in pieces]


def closing(dialect: Dialect, ident: str, model: str, answer: Answer, *, include_usage: bool) -> bytes:
    """The frames after the last piece: the reason of the end, and the usage."""
    chunks = dialect.final(answer, include_usage)
    return b"".join(frame(_chunk(ident, model, []) | chunk) for chunk in chunks)


def frame(data: dict[str, Any] | bytes) -> bytes:
    """One event of a stream."""
    return b"data: " + (data if isinstance(data, bytes) else _encode(data)) + b"\n\n"


DONE: Final = frame(b"[DONE]")
MALFORMED: Final = frame(b'{"id":"chatcmpl-broken","choices":[{"delta":')


def _chunk(ident: str, model: str, choices: list[Any]) -> dict[str, Any]:
    head = {"id": ident, "object": "chat.completion.chunk", "created": CREATED, "model": model}
    return head | {"choices": choices}


def _web_search(answer: Answer) -> dict[str, Any]:
    if answer.search is None:
        return {}
    page = {"title": "[simulated] result", "link": "https://example.com/", "content": answer.search}
    return {"web_search": [page]}


def _kimi_final(answer: Answer, include_usage: bool) -> list[dict[str, Any]]:
    choice = {"index": 0, "delta": {}, "finish_reason": answer.finish_reason, "usage": answer.usage}
    last = {"choices": [choice]}
    return [last, {"choices": [], "usage": answer.usage}] if include_usage else [last]


def _glm_final(answer: Answer, _include_usage: bool) -> list[dict[str, Any]]:
    delta = {"role": "assistant", "content": ""}
    choice = {"index": 0, "delta": delta, "finish_reason": answer.finish_reason}
    return [{"choices": [choice], "usage": answer.usage} | _web_search(answer)]


def _windows(provider: str) -> dict[str, int]:
    return {model.name: model.context_tokens for model in MODELS if model.provider == provider}


KIMI: Final = Dialect(
    name="kimi",
    base="/kimi/v1",
    errors={
        "invalid_request_error": (400, "Invalid request"),
        "content_filter": (400, "The request was rejected because it was considered high risk"),
        "invalid_authentication_error": (401, "Invalid Authentication"),
        "incorrect_api_key_error": (401, "Incorrect API key provided"),
        "exceeded_current_quota_error": (403, "Your account has no balance left, please check your billing"),
        "permission_denied_error": (403, "The API you are accessing is not open"),
        "resource_not_found_error": (404, "Not found the model or permission denied"),
        "rate_limit_reached_error": (429, "Your account reached max request rate, please try again later"),
        "engine_overloaded_error": (429, "The engine is currently overloaded, please try again later"),
        "server_error": (500, "Error: failed to do the request"),
        "unexpected_output": (500, "invalid state transition"),
    },
    by_status={
        400: "invalid_request_error",
        401: "invalid_authentication_error",
        403: "exceeded_current_quota_error",
        404: "resource_not_found_error",
        429: "rate_limit_reached_error",
        500: "server_error",
        503: "engine_overloaded_error",
    },
    refusals={
        "no_key": "invalid_authentication_error",
        "bad_key": "invalid_authentication_error",
        "bad_request": "invalid_request_error",
        "too_long": "invalid_request_error",
        "no_model": "resource_not_found_error",
        "no_route": "resource_not_found_error",
    },
    error_body=lambda code, message: {"error": {"message": message, "type": code}},
    final=_kimi_final,
    windows=_windows("kimi"),
)

GLM: Final = Dialect(
    name="glm",
    base="/glm/v4",
    errors={
        "500": (500, "Internal error"),
        "1000": (401, "Authentication failed"),
        "1001": (401, "Authentication parameter not received in the header, cannot authenticate"),
        "1002": (401, "Invalid authentication token, confirm that it is passed correctly"),
        "1003": (401, "Authentication token expired, obtain a new one"),
        "1004": (401, "Authentication with this token failed"),
        "1113": (429, "Insufficient balance or no resource package, please recharge"),
        "1210": (400, "Incorrect API call parameters, please check the documentation"),
        "1211": (400, "Unknown model, please check the model code"),
        "1220": (403, "You have no permission to access this API"),
        "1222": (404, "This API does not exist"),
        "1261": (400, "Prompt too long"),
        "1301": (400, "The input or the generated content may be unsafe or sensitive"),
        "1302": (429, "Too many concurrent requests, reduce the concurrency or raise the limit"),
        "1303": (429, "Too frequent requests, reduce the frequency or raise the limit"),
        "1304": (429, "The daily limit of calls of this API is reached"),
        "1305": (429, "This API triggered a rate limit"),
        "1308": (429, f"Usage limit reached for 5 hours. Your limit will reset at {RESET_AT}"),
        "1310": (429, f"Weekly or monthly limit exhausted. Your limit will reset at {RESET_AT}"),
    },
    by_status={400: "1210", 401: "1000", 403: "1220", 404: "1222", 429: "1302", 500: "500"},
    refusals={
        "no_key": "1001",
        "bad_key": "1002",
        "bad_request": "1210",
        "too_long": "1261",
        "no_model": "1211",
        "no_route": "1222",
    },
    error_body=lambda code, message: {"error": {"code": code, "message": message}},
    final=_glm_final,
    windows=_windows("glm"),
)

DIALECTS: Final[Mapping[str, Dialect]] = {"kimi": KIMI, "glm": GLM}
