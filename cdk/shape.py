"""A deployment: its stacks, one upon the other."""

from __future__ import annotations

from dataclasses import dataclass

from constructs import Construct

from .settings import Settings
from .stacks.base import TrunklineStack
from .stacks.data import DataStack
from .stacks.gateway import GatewayStack
from .stacks.network import NetworkStack
from .stacks.observability import ObservabilityStack
from .stacks.operations import OperationsStack


@dataclass(frozen=True, slots=True)
class Deployment:
    network: NetworkStack
    data: DataStack
    operations: OperationsStack
    gateway: GatewayStack
    observability: ObservabilityStack

    @property
    def stacks(self) -> tuple[TrunklineStack, ...]:
        """In the order in which they are deployed."""
        return self.network, self.data, self.operations, self.gateway, self.observability


def deployment(scope: Construct, settings: Settings) -> Deployment:
    """Raises SettingsError for what only shows while the stacks are made."""
    network = NetworkStack(scope, settings)
    data = DataStack(scope, settings, network.network)
    operations = OperationsStack(scope, settings, data.stores)
    gateway = GatewayStack(scope, settings, data.stores)
    # What serves starts only when there is a configuration to serve.
    gateway.add_stack_dependency(operations)
    observability = ObservabilityStack(scope, settings, data.stores, operations, gateway)
    return Deployment(network, data, operations, gateway, observability)
