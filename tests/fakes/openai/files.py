"""Files, uploads in parts, and containers."""

from __future__ import annotations

import time
from typing import Any

from ..recorded import Part
from ..reply import Exchange, Refused, Reply, ok
from .content import missing
from .objects import Collection, Object, fields

_BINARY = "application/octet-stream"


def contents(x: Exchange) -> dict[str, Any]:
    """The bytes of files, of upload parts and of container files, by id."""
    return x.provider.objects["contents"]


def sent_file(x: Exchange, field: str = "file") -> Part:
    """The file of a multipart form."""
    for part in x.recorded.parts:
        if part.name == field:
            return part
    raise Refused(missing(x, field))


def store_file(x: Exchange, body: bytes, filename: str, purpose: str) -> Object:
    """Keep a file that a client sent or a job made."""
    described = {"filename": filename, "purpose": purpose, "bytes": len(body)}
    stored = FILES.add(x, described)
    contents(x)[stored["id"]] = {"body": body}
    return stored


def _file(x: Exchange, given: Object) -> Object:
    return {
        "bytes": given["bytes"],
        "filename": given["filename"],
        "purpose": given["purpose"],
        "status": "processed",
        "status_details": None,
        "expires_at": None,
    }


FILES = Collection("/files", "file-", "file", "file", _file, deleted="file")


def _create_file(x: Exchange) -> Reply:
    part = sent_file(x)
    purpose = x.recorded.form.get("purpose")
    if not purpose:
        raise Refused(missing(x, "purpose"))
    return ok(store_file(x, part.body, part.filename, purpose))


def _list_files(x: Exchange) -> Reply:
    purpose = x.recorded.parameter("purpose")
    files = list(FILES.bucket(x).values())
    chosen = [one for one in files if not purpose or one["purpose"] == purpose]
    return ok({"object": "list", "data": chosen[::-1], "has_more": False})


def _file_content(x: Exchange) -> Reply:
    body = contents(x)[FILES.find(x)["id"]]["body"]
    return Reply(body=body, content_type=_BINARY)


# Uploads in parts


def _upload(x: Exchange, given: Object) -> Object:
    return {
        "bytes": given.get("bytes", 0),
        "expires_at": int(time.time()) + 3600,
        "filename": given.get("filename", ""),
        "purpose": given.get("purpose", ""),
        "status": "pending",
        "file": None,
    }


UPLOADS = Collection("/uploads", "upload_", "upload", "upload", _upload)
PARTS = Collection(
    "/uploads/{upload}/parts",
    "part_",
    "upload.part",
    "part",
    lambda x, given: {"upload_id": x.path["upload"]},
    parent=UPLOADS,
)


def _add_part(x: Exchange) -> Reply:
    body = sent_file(x, "data").body
    part = PARTS.add(x, {})
    contents(x)[part["id"]] = {"body": body}
    return ok(part)


def _complete_upload(x: Exchange) -> Reply:
    upload = UPLOADS.find(x)
    body = b"".join(contents(x)[part]["body"] for part in fields(x).get("part_ids", ()))
    upload["status"] = "completed"
    upload["file"] = store_file(x, body, upload["filename"], upload["purpose"])
    return ok(upload)


def _cancel_upload(x: Exchange) -> Reply:
    upload = UPLOADS.find(x)
    upload["status"] = "cancelled"
    return ok(upload)


# Containers


def _container(x: Exchange, given: Object) -> Object:
    return {
        "name": given.get("name", ""),
        "status": "running",
        "expires_after": given.get("expires_after") or {"anchor": "last_active_at", "minutes": 20},
        "last_active_at": int(time.time()),
    }


def _container_file(x: Exchange, given: Object) -> Object:
    return {
        "bytes": given["bytes"],
        "container_id": x.path["container"],
        "path": f"/mnt/data/{given['filename']}",
        "source": "user",
    }


CONTAINERS = Collection("/containers", "cntr_", "container", "container", _container)
CONTAINER_FILES = Collection(
    "/containers/{container}/files",
    "cfile_",
    "container.file",
    "file",
    _container_file,
    parent=CONTAINERS,
)


def _add_container_file(x: Exchange) -> Reply:
    if x.recorded.content_type == "multipart/form-data":
        part = sent_file(x)
        name, body = part.filename, part.body
    else:
        known = FILES.named(x, x.json.get("file_id", ""))
        name, body = known["filename"], contents(x)[known["id"]]["body"]
    stored = CONTAINER_FILES.add(x, {"filename": name, "bytes": len(body)})
    contents(x)[stored["id"]] = {"body": body}
    return ok(stored)


def _container_file_content(x: Exchange) -> Reply:
    body = contents(x)[CONTAINER_FILES.find(x)["id"]]["body"]
    return Reply(body=body, content_type=_BINARY)


ROUTES = [
    ("POST", "/files", _create_file),
    ("GET", "/files", _list_files),
    *FILES.routes("get", "delete"),
    ("GET", "/files/{file}/content", _file_content),
    *UPLOADS.routes("create"),
    ("POST", "/uploads/{upload}/parts", _add_part),
    ("POST", "/uploads/{upload}/complete", _complete_upload),
    ("POST", "/uploads/{upload}/cancel", _cancel_upload),
    *CONTAINERS.routes("create", "list", "get", "delete"),
    ("POST", "/containers/{container}/files", _add_container_file),
    *CONTAINER_FILES.routes("list", "get", "delete"),
    ("GET", "/containers/{container}/files/{file}/content", _container_file_content),
]
