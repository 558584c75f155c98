"""Pages about the gateway itself: what it is, and which routes it has; without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import HTMLResponse

from .. import __version__
from ..gateway import Gateway
from .access import OPEN, required
from .openapi import document

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trunkline: API</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
table {{ border-collapse: collapse; width: 100% }}
td {{ border-top: 1px solid #ddd; padding: .2rem .6rem .2rem 0; vertical-align: top }}
code {{ font-size: 13px; overflow-wrap: anywhere }}
</style>
<h1>Trunkline {version}</h1>
<p>Send your key as <code>Authorization: Bearer …</code>. The same in machine-readable form:
<a href="openapi.json">openapi.json</a>.</p>
{sections}
</html>
"""


def router(gateway: Gateway, app: FastAPI) -> APIRouter:
    routes = APIRouter(tags=["about"])

    @routes.get("/", summary="What this is", openapi_extra=OPEN)
    async def root() -> dict[str, str]:
        return {
            "name": "Trunkline",
            "version": __version__,
            "documentation": "/docs",
            "openapi": "/openapi.json",
            "readiness": "/health/readiness",
        }

    @routes.get("/routes", summary="List the routes", dependencies=[Depends(required(gateway))])
    async def listed() -> dict[str, Any]:
        return {"routes": list(_routes(document(app)))}

    @routes.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_page(document(app)))

    return routes


def _routes(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, item in whole["paths"].items():
        first = next(iter(item.values()))
        methods = [method.upper() for method in item]
        yield {"path": path, "methods": methods, "name": first["operationId"]}


def _page(whole: dict[str, Any]) -> str:
    rows = [
        (operation["tags"][0], operation["summary"], method.upper(), path)
        for path, item in whole["paths"].items()
        for method, operation in item.items()
    ]
    sections = [
        f"<h2>{escape(tag)}</h2>\n<table>\n{_table(group)}\n</table>"
        for tag, group in groupby(sorted(rows), key=lambda row: row[0])
    ]
    return _PAGE.format(version=escape(__version__), sections="\n".join(sections))


def _table(rows: Iterator[tuple[str, str, str, str]]) -> str:
    lines = []
    for (summary, method), same in groupby(rows, key=lambda row: (row[1], row[2])):
        paths = "<br>".join(f"<code>{escape(row[3])}</code>" for row in same)
        lines.append(f"<tr><td>{escape(summary)}<td>{method}<td>{paths}")
    return "\n".join(lines)
