"""Whom a call is charged to."""

from __future__ import annotations

from ..access.identity import Principal
from ..access.scopes import Scope
from ..dataclass import dataclass


@dataclass(slots=True)
class Payer:
    """Whom a client's call is charged to, with all calls that are made for it.

    customer: whom the caller serves by it. extra: the scopes that the call adds to the caller's.
    counted: whether its request was counted. placed: whether a call that is under way for it has a
    place among calls at once. address: the client's.
    """

    caller: Principal
    customer: str = ""
    extra: tuple[Scope, ...] = ()
    tags: tuple[str, ...] = ()
    counted: bool = False
    placed: bool = False
    address: str = ""
