"""What answers calls: the API, the service behind it, and the function beside that."""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration
from constructs import Construct

from .. import assets
from ..constructs.api import Api
from ..constructs.balancer import Balancer
from ..constructs.firewall import Firewall
from ..constructs.function import Function
from ..constructs.service import Service
from ..constructs.stores import Stores
from ..paths import rows
from ..settings import Settings
from .base import TrunklineStack


class GatewayStack(TrunklineStack):
    """balancer, service: None where Lambda answers everything."""

    def __init__(self, scope: Construct, settings: Settings, stores: Stores) -> None:
        super().__init__(scope, "Gateway", settings, "Trunkline: what answers calls")
        self.function = Function(
            self,
            "Calls",
            stores,
            "api",
            layers=assets.layers(self, settings, native=not settings.fargate),
            memory=settings.lambda_memory,
            timeout=Duration.minutes(1 if settings.fargate else 15),
            frozen=True,
        )
        stores.let_serve(self.function.role)
        self.balancer = self.service = None
        if settings.fargate:
            self.balancer = Balancer(self, "Balancer", settings, stores.network)
            self.service = Service(self, "Service", stores, self.balancer)
        self.api = Api(
            self,
            "Api",
            settings,
            rows(fargate=settings.fargate),
            self.function,
            stores.network,
            self.balancer,
        )
        self.firewall = Firewall(self, "Firewall", settings, self.api.rest.deployment_stage)
        CfnOutput(self, "Url", value=self.api.url, description="Base of the OpenAI-compatible API")
