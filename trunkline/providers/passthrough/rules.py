"""What a prefix lets through, where one shared key could do more than callers should."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ... import json_text
from ...dataclass import dataclass
from ...errors import InvalidRequest, PermissionDenied
from .request import Outgoing

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be asked.

    requests: matches the method and the path of what may be asked ("GET /v1/runs/1").
    withheld: fields of a JSON body that act for the account's owner.
    unless: environment variable that lets them through all the same.
    """

    requests: re.Pattern[str]
    withheld: frozenset[str] = frozenset()
    unless: str = ""

    def check(self, request: Outgoing, environ: Mapping[str, str]) -> None:
        """Raises PermissionDenied, and InvalidRequest for a body that can't be looked into."""
        asked = f"{request.method} {request.path}"
        if not self.requests.fullmatch(asked):
            raise PermissionDenied(f"{asked} is not let through: it concerns the whole account.")
        if not request.body or environ.get(self.unless, "").strip().lower() in _TRUE:
            return
        for name in sorted(self.withheld & _names(request.body)):
            raise PermissionDenied(
                f"'{name}' is not let through: it acts with what is saved in the account."
                f" {self.unless}=true in the gateway's environment allows it.",
                param=name,
            )


def _names(body: object) -> set[str]:
    try:
        fields = json_text.loads(body) if isinstance(body, bytes) else None
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise InvalidRequest("The request's body must be a JSON object.")
    return set(fields)
