"""What the configuration demands of every call and every request, whoever makes it.

general_settings.enforce_user_param                  calls say whom they serve
general_settings.reject_clientside_metadata_tags     tags are those of keys alone
general_settings.allowed_routes                      the only paths that anybody may use
general_settings.admin_only_routes                   paths that only proxy admins may use
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..call import Call, Wire
from ..dataclass import dataclass
from ..errors import InvalidRequest, PermissionDenied
from ..settings.schema import GeneralSettings
from .roles import Role, covers

if TYPE_CHECKING:
    from .identity import Principal

_CUSTOMER_HEADERS = ("x-litellm-end-user-id", "x-litellm-customer-id")


@dataclass(frozen=True, slots=True)
class Demands:
    """routes: empty for any."""

    user: bool = False
    no_tags: bool = False
    routes: tuple[str, ...] = ()
    admin_routes: tuple[str, ...] = ()

    @classmethod
    def of(cls, general: GeneralSettings) -> Demands | None:
        """None where nothing is demanded."""
        demands = cls(
            user=general.enforce_user_param,
            no_tags=general.reject_clientside_metadata_tags,
            routes=tuple(general.allowed_routes or ()),
            admin_routes=tuple(general.admin_only_routes or ()),
        )
        return None if demands == cls() else demands

    def check_route(self, caller: Principal, path: str) -> None:
        """Raises PermissionDenied."""
        if self.routes and not _covered(self.routes, path):
            raise PermissionDenied(f"{path} is not served here.", code="route_not_allowed")
        if caller.role is not Role.ADMIN and _covered(self.admin_routes, path):
            raise PermissionDenied(f"{path} is for proxy admins only.", code="admin_only_route")

    def check_call(self, call: Call) -> None:
        """Raises InvalidRequest."""
        if self.no_tags and call.tags:
            raise InvalidRequest(
                "Tags are those of the key alone: a call can't have its own.",
                param="metadata.tags",
                code="tags_not_allowed",
            )
        if self.user and call.operation.method == "POST" and not customer_of(call):
            raise InvalidRequest(
                "'user' must be given: whom the call serves.", param="user", code="missing_required"
            )


def customer_of(call: Call) -> str:
    """Whom the caller serves, from where LiteLLM's and the providers' clients say it."""
    for name in _CUSTOMER_HEADERS:
        if name in call.headers:
            return call.headers[name]
    user = call.body.get("user")
    if user is None and call.operation.wire is Wire.ANTHROPIC:
        metadata = call.body.get("metadata")
        user = metadata.get("user_id") if isinstance(metadata, dict) else None
    return user if isinstance(user, str) else ""


def _covered(routes: Iterable[str], path: str) -> bool:
    return any(covers(route, path) for route in routes)
