"""What goes on beside the calls: rollout, training, maintenance."""

from __future__ import annotations

from constructs import Construct

from .. import assets
from ..constructs.maintenance import Maintenance
from ..constructs.rollout import Rollout
from ..constructs.starting import Starting
from ..constructs.stores import Stores
from ..constructs.training import Training
from ..settings import Settings
from .base import TrunklineStack


class OperationsStack(TrunklineStack):
    def __init__(self, scope: Construct, settings: Settings, stores: Stores) -> None:
        super().__init__(scope, "Operations", settings, "Trunkline: rollout, training, maintenance")
        layers = assets.layers(self, settings)
        self.rollout = Rollout(self, "Rollout", stores, layers)
        self.starting = Starting(self, "Starting", stores, self.rollout)
        self.maintenance = Maintenance(self, "Maintenance", stores, layers)
        self.training = Training(self, "Training", stores, layers) if settings.training else None
