"""What stands at the paths of accounts where there are none."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from ..access.roles import ROUTES
from ..errors import InvalidRequest
from ..gateway import Gateway
from .access import required

METHODS = ["GET", "POST", "PATCH"]

_BEGIN = tuple(
    """
    /key/ /user/ /v2/user/ /team/ /v2/team/ /organization/ /customer/ /end_user/ /budget/ /tag/
    /spend/ /global/
    """.split()
)
_MODELS = frozenset({"/model/new", "/model/update", "/model/delete", "/model/{model_id}/update"})


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(dependencies=[Depends(required(gateway))], include_in_schema=False)
    for path in ROUTES:
        if path.startswith(_BEGIN) or path in _MODELS:
            routes.add_api_route(path, _refuse, methods=METHODS)
    return routes


async def _refuse() -> None:
    raise no_database()


def no_database() -> InvalidRequest:
    return InvalidRequest(
        "No database is connected: set a master_key, and a database_url where one process"
        " isn't all.",
        code="no_database",
    )
