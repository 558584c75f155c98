"""Assistants, threads, messages and runs; a run is queued first and complete when next read."""

from __future__ import annotations

import time

from ..model import Ask, Content, speak
from ..reply import Exchange, Refused, Reply, event, ok, stream
from ..script import pieces, text_of, tokens_of
from ..server import Route
from .content import missing
from .objects import Collection, Object, fields, page

_NO_BETA = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by "
    "setting the header 'OpenAI-Beta: assistants=v2'."
)
_STAMPS = ("expires_at", "started_at", "cancelled_at", "failed_at", "completed_at")
_UNSET = ("required_action", "last_error", "incomplete_details", "usage", "max_prompt_tokens")


def _assistant(x: Exchange, given: Object) -> Object:
    if "model" not in given:
        raise Refused(missing(x, "model"))
    names = ("name", "description", "instructions", "tool_resources", "metadata")
    return {
        **{name: given.get(name) for name in names},
        "model": given["model"],
        "tools": given.get("tools") or [],
        "top_p": given.get("top_p", 1.0),
        "temperature": given.get("temperature", 1.0),
        "response_format": given.get("response_format") or "auto",
    }


def _thread(x: Exchange, given: Object) -> Object:
    return {
        "metadata": given.get("metadata") or {},
        "tool_resources": given.get("tool_resources") or {},
    }


def _message(x: Exchange, given: Object) -> Object:
    if "content" not in given:
        raise Refused(missing(x, "content"))
    return {
        "thread_id": given.get("thread_id") or x.path["thread"],
        "role": given.get("role") or "user",
        "content": [
            {"type": "text", "text": {"value": text_of(given["content"]), "annotations": []}}
        ],
        "assistant_id": given.get("assistant_id"),
        "run_id": given.get("run_id"),
        "attachments": given.get("attachments") or [],
        "metadata": given.get("metadata") or {},
        "status": "completed",
        "completed_at": int(time.time()),
        "incomplete_at": None,
        "incomplete_details": None,
    }


def _run(x: Exchange, given: Object) -> Object:
    assistant = x.provider.objects["/assistants"].get(given.get("assistant_id", ""))
    if assistant is None:
        wanted = given.get("assistant_id")
        raise Refused(x.provider.error(404, f"No assistant found with id '{wanted}'."))
    return {
        "assistant_id": assistant["id"],
        "thread_id": given.get("thread_id") or x.path["thread"],
        "status": "queued",
        "model": given.get("model") or assistant["model"],
        "instructions": given.get("instructions") or assistant["instructions"] or "",
        "tools": given.get("tools") or assistant["tools"],
        "metadata": given.get("metadata") or {},
        "temperature": 1.0,
        "top_p": 1.0,
        "max_completion_tokens": given.get("max_completion_tokens"),
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        **dict.fromkeys((*_STAMPS, *_UNSET)),
    }


def _messages_of(x: Exchange, thread: str) -> dict[str, Object]:
    return x.provider.objects[f"/threads/{thread}/messages"]


def _finish(x: Exchange, run: Object) -> None:
    if run["status"] == "queued":
        content = _answer(x, run)
        _complete(x, run, content)


def _answer(x: Exchange, run: Object) -> Content:
    values = [
        part["text"]["value"]
        for message in _messages_of(x, run["thread_id"]).values()
        for part in message["content"]
        if message["role"] == "user"
    ]
    read = sum(map(tokens_of, [run["instructions"], *values]))
    return speak(x.script, Ask(values[-1] if values else "", read))


def _complete(x: Exchange, run: Object, content: Content) -> tuple[Object, Object]:
    """Finish a run: the message that it writes and the step in which it does so."""
    now = int(time.time())
    usage = {
        "prompt_tokens": content.input_tokens,
        "completion_tokens": content.output_tokens,
        "total_tokens": content.input_tokens + content.output_tokens,
    }
    run |= {"status": "completed", "started_at": now, "completed_at": now, "usage": usage}
    base = {"created_at": now, "assistant_id": run["assistant_id"], "thread_id": run["thread_id"]}
    message = base | {"id": x.provider.new_id("msg_"), "object": "thread.message"}
    told = {"content": content.text, "role": "assistant", "run_id": run["id"]}
    message |= _message(x, {**told, **base})
    _messages_of(x, run["thread_id"])[message["id"]] = message
    step = base | {
        "id": x.provider.new_id("step_"),
        "object": "thread.run.step",
        "run_id": run["id"],
        "type": "message_creation",
        "status": "completed",
        "step_details": {
            "type": "message_creation",
            "message_creation": {"message_id": message["id"]},
        },
        "usage": usage,
        "completed_at": now,
        "metadata": {},
        **dict.fromkeys(("cancelled_at", "failed_at", "expired_at", "last_error")),
    }
    x.provider.objects[f"/runs/{run['id']}/steps"][step["id"]] = step
    return message, step


ASSISTANTS = Collection("/assistants", "asst_", "assistant", "assistant", _assistant)
THREADS = Collection("/threads", "thread_", "thread", "thread", _thread)
MESSAGES = Collection(
    "/threads/{thread}/messages", "msg_", "thread.message", "message", _message, parent=THREADS
)
RUNS = Collection(
    "/threads/{thread}/runs", "run_", "thread.run", "run", _run, refresh=_finish, parent=THREADS
)


def _new_thread(x: Exchange, given: Object) -> Object:
    thread = THREADS.add(x, given)
    for message in given.get("messages") or ():
        added = {
            "id": x.provider.new_id("msg_"),
            "object": "thread.message",
            "created_at": thread["created_at"],
        } | _message(x, {"thread_id": thread["id"], **message})
        _messages_of(x, thread["id"])[added["id"]] = added
    return thread


def _create_thread(x: Exchange) -> Reply:
    return ok(_new_thread(x, fields(x)))


def _create_run(x: Exchange) -> Reply:
    given = x.json
    return _started(x, RUNS.add(x, given), given)


def _create_thread_and_run(x: Exchange) -> Reply:
    given = x.json
    thread = _new_thread(x, given.get("thread") or {})
    run = {
        "id": x.provider.new_id("run_"),
        "object": "thread.run",
        "created_at": thread["created_at"],
    } | _run(x, given | {"thread_id": thread["id"]})
    x.provider.objects[f"/threads/{thread['id']}/runs"][run["id"]] = run
    return _started(x, run, given, thread)


def _started(x: Exchange, run: Object, given: Object, thread: Object | None = None) -> Reply:
    if not given.get("stream"):
        return ok(run)
    queued = dict(run)
    content = _answer(x, run)
    message, step = _complete(x, run, content)
    open_step = step | {"status": "in_progress", "completed_at": None, "usage": None}
    open_message = message | {"status": "in_progress", "completed_at": None, "content": []}
    deltas = [
        {
            "id": message["id"],
            "object": "thread.message.delta",
            "delta": {"content": [{"index": 0, "type": "text", "text": {"value": piece}}]},
        }
        for piece in pieces(content.text)
    ]
    sequence: list[tuple[str, Object]] = [
        *([("thread.created", thread)] if thread else []),
        ("thread.run.created", queued),
        ("thread.run.queued", queued),
        ("thread.run.in_progress", queued | {"status": "in_progress"}),
        ("thread.run.step.created", open_step),
        ("thread.run.step.in_progress", open_step),
        ("thread.message.created", open_message),
        ("thread.message.in_progress", open_message),
        *(("thread.message.delta", delta) for delta in deltas),
        ("thread.message.completed", message),
        ("thread.run.step.completed", step),
        ("thread.run.completed", run),
    ]
    return stream([*(event(data, name) for name, data in sequence), event("[DONE]", "done")])


def _cancel_run(x: Exchange) -> Reply:
    run = RUNS.bucket(x).get(x.path["run"]) or RUNS.find(x)
    run["status"] = "cancelling"
    return ok(run)


def _submit_outputs(x: Exchange) -> Reply:
    if "tool_outputs" not in x.json:
        raise Refused(missing(x, "tool_outputs"))
    return _started(x, RUNS.find(x), x.json)


def _steps(x: Exchange) -> Reply:
    run = RUNS.find(x)
    return ok(page(x, list(x.provider.objects[f"/runs/{run['id']}/steps"].values())))


def _in_beta(route: Route) -> Route:
    """The route as it asks for the header that the Assistants API is behind."""
    method, path, handler = route

    def checked(x: Exchange) -> Reply:
        if "assistants=" not in x.recorded.headers.get("openai-beta", ""):
            raise Refused(x.provider.error(400, _NO_BETA))
        answer: Reply = handler(x)
        return answer

    return method, path, checked


ROUTES = [
    _in_beta(route)
    for route in [
        *ASSISTANTS.routes(),
        ("POST", "/threads", _create_thread),
        ("POST", "/threads/runs", _create_thread_and_run),
        *THREADS.routes("get", "update", "delete"),
        *MESSAGES.routes(),
        ("POST", "/threads/{thread}/runs", _create_run),
        *RUNS.routes("list", "get", "update"),
        ("POST", "/threads/{thread}/runs/{run}/cancel", _cancel_run),
        ("POST", "/threads/{thread}/runs/{run}/submit_tool_outputs", _submit_outputs),
        ("GET", "/threads/{thread}/runs/{run}/steps", _steps),
    ]
]
