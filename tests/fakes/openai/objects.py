"""What clients create and keep with OpenAI: one table of objects for each path."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..reply import Exchange, Refused, Reply, ok
from ..server import Route

Object = dict[str, Any]
Make = Callable[[Exchange, Object], Object]


def fields(x: Exchange) -> Object:
    """The request's fields, from JSON, from a multipart form or from an empty body."""
    if x.recorded.content_type == "multipart/form-data":
        return {name.removesuffix("[]"): value for name, value in x.recorded.form.items()}
    return x.json if x.recorded.body else {}


@dataclass(frozen=True, slots=True)
class Collection:
    """Objects of one kind under one path.

    path: a template whose names the request's path fills, so that threads have messages each.
    make: the fields of a new object besides `id`, `object` and `created_at`.
    refresh: what time does to an object, seen when it is read.
    """

    path: str
    prefix: str
    kind: str
    name: str
    make: Make
    refresh: Callable[[Exchange, Object], None] = lambda x, one: None
    deleted: str = ""
    parent: Collection | None = None

    def routes(self, *actions: str) -> list[Route]:
        one = f"{self.path}/{{{self.name}}}"
        known: Mapping[str, Route] = {
            "create": ("POST", self.path, self.create),
            "list": ("GET", self.path, self.list),
            "get": ("GET", one, self.get),
            "update": ("POST", one, self.update),
            "delete": ("DELETE", one, self.delete),
        }
        return [known[action] for action in actions or known]

    def bucket(self, x: Exchange) -> dict[str, Object]:
        if self.parent is not None:
            self.parent.find(x)
        return x.provider.objects[self.path.format_map(x.path)]

    def add(self, x: Exchange, given: Object) -> Object:
        # The id may depend on the order of construction, so it is drawn first.
        one = {
            "id": x.provider.new_id(self.prefix),
            "object": self.kind,
            "created_at": int(time.time()),
        }
        one |= self.make(x, given)
        self.bucket(x)[one["id"]] = one
        return one

    def find(self, x: Exchange) -> Object:
        return self.named(x, x.path[self.name])

    def named(self, x: Exchange, wanted: str) -> Object:
        one = self.bucket(x).get(wanted)
        if one is None:
            noun = self.kind.rpartition(".")[2].replace("_", " ")
            raise Refused(x.provider.error(404, f"No {noun} found with id '{wanted}'."))
        self.refresh(x, one)
        return one

    def create(self, x: Exchange) -> Reply:
        return ok(self.add(x, fields(x)))

    def get(self, x: Exchange) -> Reply:
        return ok(self.find(x))

    def update(self, x: Exchange) -> Reply:
        one = self.find(x)
        one.update(fields(x))
        return ok(one)

    def delete(self, x: Exchange) -> Reply:
        one = self.find(x)
        del self.bucket(x)[one["id"]]
        kind = self.deleted or f"{self.kind}.deleted"
        return ok({"id": one["id"], "object": kind, "deleted": True})

    def list(self, x: Exchange) -> Reply:
        items = list(self.bucket(x).values())
        for one in items:
            self.refresh(x, one)
        return ok(page(x, items))


def page(x: Exchange, items: list[Object]) -> Object:
    """A page of a list: newest first unless `order=asc`, after the object named by `after`."""
    if x.recorded.parameter("order", "desc") == "desc":
        items = items[::-1]
    after = x.recorded.parameter("after")
    ids = [one["id"] for one in items]
    start = ids.index(after) + 1 if after in ids else 0
    end = start + int(x.recorded.parameter("limit", "20"))
    shown = items[start:end]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": end < len(items),
    }
