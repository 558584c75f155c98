"""/tag/…: budgets of what calls are tagged with."""

from __future__ import annotations

from typing import Any

from ...access.management import holders
from ...access.management.holders import Holder
from ...access.management.records import TAG
from . import views
from .bodies import OneTag, Pages, TagFields, TagNames
from .endpoints import Call, Endpoint


async def new_tag(call: Call[TagFields]) -> Any:
    held = await holders.new(call.registry, TAG, call.body.asked(), call.by)
    return {"message": f"Tag {call.body.name} created successfully", "tag": _view(held)}


async def update_tag(call: Call[TagFields]) -> Any:
    held = await holders.update_holder(
        call.registry, TAG, call.body.name, call.body.asked(), call.by
    )
    return {"message": f"Tag {call.body.name} updated successfully", "tag": _view(held)}


async def tag_info(call: Call[TagNames]) -> Any:
    found = await holders.info(call.registry, TAG, call.body.names, "names")
    return {each.row["name"]: _view(each) for each in found}


async def list_tags(call: Call[Pages]) -> Any:
    found = await holders.page(call.registry, TAG, page=call.body.page, size=call.body.page_size)
    return [_view(each) for each in found]


async def delete_tag(call: Call[OneTag]) -> Any:
    await holders.remove_holders(call.registry, TAG, [call.body.name], "name")
    return {"message": f"Tag {call.body.name} deleted successfully"}


def _view(held: Holder) -> dict[str, Any]:
    return {**views.holder(held), "model_info": {model: model for model in held.row["models"]}}


ENDPOINTS = (
    Endpoint("POST", ("/tag/new",), TagFields, new_tag, "Make a tag"),
    Endpoint("POST", ("/tag/update",), TagFields, update_tag, "Change a tag"),
    Endpoint("POST", ("/tag/info",), TagNames, tag_info, "About tags"),
    Endpoint("GET", ("/tag/list",), Pages, list_tags, "List tags"),
    Endpoint("POST", ("/tag/delete",), OneTag, delete_tag, "Delete a tag"),
)
