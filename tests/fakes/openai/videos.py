"""Videos: queued when they are asked for, ready when they are next read; and models."""

from __future__ import annotations

import time

from ..reply import Exchange, Refused, Reply, ok
from .content import check_model, missing
from .objects import Collection, Object, fields

_MODELS = ("gpt-4o", "gpt-4o-mini", "text-embedding-3-small")


def _video(x: Exchange, given: Object) -> Object:
    if "prompt" not in given:
        raise Refused(missing(x, "prompt"))
    check_model(x, given.get("model"))
    return {
        "status": "queued",
        "model": given.get("model") or "sora-2",
        "progress": 0,
        "prompt": given["prompt"],
        "seconds": str(given.get("seconds") or "4"),
        "size": given.get("size") or "720x1280",
        "completed_at": None,
        "expires_at": None,
        "error": None,
        "remixed_from_video_id": None,
    }


def _finish(x: Exchange, video: Object) -> None:
    if video["status"] == "queued":
        now = int(time.time())
        done = {"completed_at": now, "expires_at": now + 3600}
        video |= {"status": "completed", "progress": 100} | done


VIDEOS = Collection("/videos", "video_", "video", "video", _video, refresh=_finish)


def _content(x: Exchange) -> Reply:
    video = VIDEOS.find(x)
    body = b"\x00\x00\x00\x18ftypmp42" + video["prompt"].encode()
    return Reply(body=body, content_type="video/mp4")


def _remix(x: Exchange) -> Reply:
    source = VIDEOS.find(x)
    remix = VIDEOS.add(x, {"model": source["model"], **fields(x)})
    remix["remixed_from_video_id"] = source["id"]
    return ok(remix)


def _list_models(x: Exchange) -> Reply:
    return ok({"object": "list", "data": [_model(name) for name in x.provider.models or _MODELS]})


def _get_model(x: Exchange) -> Reply:
    name = x.path["model"]
    if x.provider.models is not None and name not in x.provider.models:
        message = f"The model '{name}' does not exist"
        raise Refused(x.provider.error(404, message))
    return ok(_model(name))


def _delete_model(x: Exchange) -> Reply:
    return ok({"id": x.path["model"], "object": "model", "deleted": True})


def _model(name: str) -> Object:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "fake"}


ROUTES = [
    *VIDEOS.routes("create", "list", "get", "delete"),
    ("GET", "/videos/{video}/content", _content),
    ("POST", "/videos/{video}/remix", _remix),
    ("GET", "/models", _list_models),
    ("GET", "/models/{model:.+}", _get_model),
    ("DELETE", "/models/{model:.+}", _delete_model),
]
