"""The network, which everything else is in."""

from __future__ import annotations

from constructs import Construct

from ..constructs.network import Network
from ..settings import Settings
from .base import TrunklineStack


class NetworkStack(TrunklineStack):
    def __init__(self, scope: Construct, settings: Settings) -> None:
        super().__init__(scope, "Network", settings, "Trunkline: the network")
        self.network = Network(self, "Network", settings)
