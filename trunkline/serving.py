"""Makes what a gateway serves of a snapshot, out of what outlives all snapshots."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from .access.demands import Demands
from .access.identity import Authenticator
from .cache.answers import Answers
from .call import Deployment
from .dataclass import dataclass
from .gateway import MEBIBYTE, Serving
from .live.snapshot import Snapshot
from .operations import OPERATIONS
from .providers.affinity import Accounts
from .providers.direct import target_of
from .providers.lanes import Lanes
from .providers.mock_lane import is_mock
from .routing.health import Health
from .routing.router import build_router
from .telemetry.metrics import Metrics

if TYPE_CHECKING:
    from .bookkeeping import Books
    from .learning import Routing
    from .routing.learned import Learned
    from .routing.recording import Recorder

CHAT = next(operation for operation in OPERATIONS if operation.name == "chat")


@dataclass(frozen=True, slots=True)
class Lasting:
    """What outlives one snapshot; from `routing` on, what may end with one configuration.

    See `gateway.Serving` for what is None when.

    health: of the deployments, by their ids: who cools down goes on doing so.
    warm: loads LiteLLM in the background, where it isn't.
    """

    lanes: Lanes
    health: Health
    metrics: Metrics
    books: Books | None
    warm: Callable[[], None]
    routing: Routing | None = None
    learned: Learned | None = None
    recorder: Recorder | None = None
    answers: Answers | None = None

    def serving(self, snapshot: Snapshot) -> Serving:
        """What serves a snapshot. The learned strategy decides by its deployments from now on."""
        settings, books = snapshot.settings, self.books
        if self.routing is not None:
            self.routing.turn_to(snapshot)
        router = build_router(settings, snapshot, self.health, random.Random(), self.learned)
        if any(map(needs_litellm, snapshot.everything)):
            self.warm()
        charges = books.charges(snapshot) if books else None
        batches = None
        if books is not None and charges is not None:
            batches = books.batches_of(snapshot, charges, self.lanes, router.policy)
        return Serving(
            snapshot=snapshot,
            authenticator=_authenticator(settings.general_settings.master_key, books),
            policy=router.policy,
            router=router,
            lanes=self.lanes,
            accounts=Accounts(snapshot.deployments),
            metrics=self.metrics,
            workflows=(
                self.routing.workflows(router, self.metrics, CHAT) if self.routing else None
            ),
            recorder=self.recorder,
            answers=self.answers,
            charges=charges,
            batches=batches,
            registry=books.registry_of(snapshot) if books else None,
            stores=books.reached if books else None,
            heartbeat=settings.general_settings.stream_heartbeat_seconds,
            demands=Demands.of(settings.general_settings),
            body_limit=int(settings.general_settings.max_request_size_mb * MEBIBYTE),
        )


def _authenticator(master_key: str | None, books: Books | None) -> Authenticator:
    if books is None:
        return Authenticator(master_key)
    return Authenticator(master_key, books.directory.principal, books.directory.holder)


def needs_litellm(deployment: Deployment) -> bool:
    """Whether some of a deployment's calls will take the litellm lane."""
    return not is_mock(deployment) and target_of(deployment, CHAT) is None
