"""The search tools that a caller may use."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from ..call import Deployment
from ..gateway import Gateway
from .access import required


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["search"], dependencies=[Depends(required(gateway))])

    @routes.get("/v1/search/tools", summary="List the search tools that the caller may use")
    @routes.get("/search/tools", summary="List the search tools that the caller may use")
    async def search_tools() -> dict[str, Any]:
        tools = gateway.serving.snapshot.search_tools.values()
        usable = [each for tool in tools for each in tool if not each.missing]
        return {"object": "list", "data": [_listed(each) for each in usable]}

    return routes


def _listed(tool: Deployment) -> dict[str, str]:
    listed = {"search_tool_name": tool.group, "search_provider": tool.provider}
    description = tool.info["description"]
    return {**listed, "description": description} if description else listed
