"""Vector stores, their files and the search in them."""

from __future__ import annotations

import time

from ..reply import Exchange, Refused, Reply, ok
from ..script import count
from .content import missing, strings
from .files import FILES, contents
from .objects import Collection, Object, fields

_CHUNKING = {
    "type": "static",
    "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
}


def _counts(number: int) -> Object:
    return {"in_progress": 0, "completed": number, "failed": 0, "cancelled": 0, "total": number}


def _store(x: Exchange, given: Object) -> Object:
    return {
        "name": given.get("name") or "",
        "usage_bytes": 0,
        "file_counts": _counts(0),
        "status": "completed",
        "expires_after": given.get("expires_after"),
        "expires_at": None,
        "last_active_at": int(time.time()),
        "metadata": given.get("metadata"),
    }


def _count_files(x: Exchange, store: Object) -> None:
    files = x.provider.objects[f"/vector_stores/{store['id']}/files"]
    store["file_counts"] = _counts(len(files))
    store["usage_bytes"] = sum(one["usage_bytes"] for one in files.values())


def _store_file(x: Exchange, given: Object) -> Object:
    if "file_id" not in given:
        raise Refused(missing(x, "file_id"))
    known = FILES.named(x, given["file_id"])
    return {
        "id": known["id"],
        "usage_bytes": known["bytes"],
        "vector_store_id": x.path["store"],
        "status": "completed",
        "last_error": None,
        "chunking_strategy": _CHUNKING,
        "attributes": given.get("attributes") or {},
    }


def _file_batch(x: Exchange, given: Object) -> Object:
    ids = given.get("file_ids") or []
    for file_id in ids:
        STORE_FILES.add(x, {"file_id": file_id})
    return {
        "vector_store_id": x.path["store"],
        "status": "completed",
        "file_counts": _counts(len(ids)),
    }


STORES = Collection("/vector_stores", "vs_", "vector_store", "store", _store, refresh=_count_files)
STORE_FILES = Collection(
    "/vector_stores/{store}/files",
    "file-",
    "vector_store.file",
    "file",
    _store_file,
    parent=STORES,
)
FILE_BATCHES = Collection(
    "/vector_stores/{store}/file_batches",
    "vsfb_",
    "vector_store.files_batch",
    "batch",
    _file_batch,
    parent=STORES,
)


def _create_store(x: Exchange) -> Reply:
    given = fields(x)
    store = STORES.add(x, given)
    for file_id in given.get("file_ids") or ():
        known = FILES.named(x, file_id)
        x.provider.objects[f"/vector_stores/{store['id']}/files"][file_id] = {
            "id": file_id,
            "object": "vector_store.file",
            "created_at": store["created_at"],
            "usage_bytes": known["bytes"],
            "vector_store_id": store["id"],
            "status": "completed",
            "last_error": None,
            "chunking_strategy": _CHUNKING,
            "attributes": {},
        }
    _count_files(x, store)
    return ok(store)


def _text(x: Exchange, file_id: str) -> str:
    return contents(x)[file_id]["body"].decode(errors="replace")


def _file_content(x: Exchange) -> Reply:
    text = _text(x, STORE_FILES.find(x)["id"])
    return ok(
        {
            "object": "vector_store.file_content.page",
            "data": [{"type": "text", "text": text}],
            "has_more": False,
            "next_page": None,
        }
    )


def _search(x: Exchange) -> Reply:
    """Files by the share of the query's words that they hold."""
    STORES.find(x)
    body = x.json
    if "query" not in body:
        raise Refused(missing(x, "query"))
    queries = strings(body["query"])
    words = " ".join(queries).lower().split()
    found = []
    for one in STORE_FILES.bucket(x).values():
        text = _text(x, one["id"])
        held = sum(word in text.lower() for word in words)
        found.append(
            {
                "file_id": one["id"],
                "filename": FILES.named(x, one["id"])["filename"],
                "score": round(held / max(1, count(" ".join(words))), 3),
                "attributes": one["attributes"],
                "content": [{"type": "text", "text": text}],
            }
        )
    found.sort(key=lambda one: -one["score"])
    return ok(
        {
            "object": "vector_store.search_results.page",
            "search_query": list(queries),
            "data": found[: body.get("max_num_results") or 10],
            "has_more": False,
            "next_page": None,
        }
    )


def _batch_files(x: Exchange) -> Reply:
    FILE_BATCHES.find(x)
    return STORE_FILES.list(x)


ROUTES = [
    ("POST", "/vector_stores", _create_store),
    *STORES.routes("list", "get", "update", "delete"),
    ("POST", "/vector_stores/{store}/search", _search),
    *STORE_FILES.routes(),
    ("GET", "/vector_stores/{store}/files/{file}/content", _file_content),
    *FILE_BATCHES.routes("create", "get"),
    ("POST", "/vector_stores/{store}/file_batches/{batch}/cancel", FILE_BATCHES.get),
    ("GET", "/vector_stores/{store}/file_batches/{batch}/files", _batch_files),
]
