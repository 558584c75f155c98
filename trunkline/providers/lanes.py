"""The lanes: how a call reaches a provider."""

from __future__ import annotations

from typing import Protocol

from ..call import Answer, Call, Deployment, Timeouts
from ..dataclass import dataclass
from .direct import DirectLane
from .mock_lane import is_mock


class Lane(Protocol):
    """One way to a provider.

    name: what headers and logs call it.
    """

    name: str

    async def send(self, call: Call, deployment: Deployment, timeouts: Timeouts) -> Answer:
        """The provider's answer; `call.usage` is filled by the time that it has ended.

        Raises ProviderError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes of one snapshot, and which of them a call takes."""

    direct: DirectLane
    litellm: Lane
    mock: Lane

    def lane(self, call: Call, deployment: Deployment) -> Lane:
        if self.direct.takes(call, deployment):
            return self.direct
        return self.mock if is_mock(deployment) else self.litellm
