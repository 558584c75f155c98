"""/customer/…, and /end_user/… for the same: the `user` of calls, whom our users serve."""

from __future__ import annotations

from typing import Any

from ...access.management import holders
from ...access.management.records import CUSTOMER
from . import views
from .bodies import CustomerFields, OneCustomer, Pages, UserIds
from .endpoints import Call, Endpoint


async def new_customer(call: Call[CustomerFields]) -> Any:
    return views.holder(await holders.new(call.registry, CUSTOMER, call.body.asked(), call.by))


async def update_customer(call: Call[CustomerFields]) -> Any:
    asked = call.body.asked()
    held = await holders.update_holder(call.registry, CUSTOMER, call.body.user_id, asked, call.by)
    return views.holder(held)


async def customer_info(call: Call[OneCustomer]) -> Any:
    ids = [call.body.end_user_id]
    return views.holder((await holders.info(call.registry, CUSTOMER, ids, "end_user_id"))[0])


async def list_customers(call: Call[Pages]) -> Any:
    body = call.body
    found = await holders.page(call.registry, CUSTOMER, page=body.page, size=body.page_size)
    return [views.holder(each) for each in found]


async def delete_customers(call: Call[UserIds]) -> Any:
    ids = call.body.user_ids
    count = await holders.remove_holders(call.registry, CUSTOMER, ids, "user_ids")
    return {
        "deleted_customers": count,
        "message": f"Successfully deleted customers with ids: {ids}",
    }


async def block_customers(call: Call[UserIds]) -> Any:
    return await _blocked(call, blocked=True)


async def unblock_customers(call: Call[UserIds]) -> Any:
    return await _blocked(call, blocked=False)


async def _blocked(call: Call[UserIds], *, blocked: bool) -> Any:
    found = await holders.block_customers(
        call.registry, call.body.user_ids, call.by, blocked=blocked
    )
    return {"blocked_users": [views.holder(each) for each in found]}


def _paths(action: str) -> tuple[str, str]:
    return f"/customer/{action}", f"/end_user/{action}"


ENDPOINTS = (
    Endpoint("POST", _paths("new"), CustomerFields, new_customer, "Make a customer"),
    Endpoint("POST", _paths("update"), CustomerFields, update_customer, "Change a customer"),
    Endpoint("GET", _paths("info"), OneCustomer, customer_info, "About a customer"),
    Endpoint("GET", _paths("list"), Pages, list_customers, "List customers"),
    Endpoint("POST", _paths("delete"), UserIds, delete_customers, "Delete customers"),
    Endpoint("POST", _paths("block"), UserIds, block_customers, "Block customers"),
    Endpoint("POST", _paths("unblock"), UserIds, unblock_customers, "Let customers call again"),
)
