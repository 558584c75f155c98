"""The API: a REST API, whose paths lead to Fargate or to Lambda as the path table says.

It streams what Fargate answers. Who may call what is the gateway's affair: it knows keys, teams and
budgets, so the API has no authorizer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as route53_targets
from constructs import Construct

from ..paths import PROXY, Row, Shell
from ..settings import Settings
from .balancer import Balancer
from .function import Function
from .logs import log_group
from .network import Network

STAGE = "v1"
STREAMED = Duration.minutes(15)
"""As long as API Gateway streams at most."""
BUFFERED = Duration.seconds(29)
"""As long as it waits for Lambda, unless AWS is asked for more."""

ACCESS_LOG = {
    "at": "$context.requestTimeEpoch",
    "request": "$context.requestId",
    "extended": "$context.extendedRequestId",
    "method": "$context.httpMethod",
    "resource": "$context.resourcePath",
    "status": "$context.status",
    "milliseconds": "$context.responseLatency",
    "integration_status": "$context.integration.status",
    "integration_milliseconds": "$context.integration.latency",
    "bytes": "$context.responseLength",
    "address": "$context.identity.sourceIp",
    "agent": "$context.identity.userAgent",
    "error": "$context.error.responseType",
    "firewall": "$context.waf.status",
}
"""Neither headers nor the query, which hold keys; nor the path itself, which holds ids."""


Integration = apigateway.CfnMethod.IntegrationProperty
MakesIntegration = Callable[[Row, list[str]], Integration]
"""Of a row, and the names in its path."""


class Api(Construct):
    """rest: the API. url: as clients ask for it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        settings: Settings,
        table: tuple[Row, ...],
        function: Function,
        network: Network,
        balancer: Balancer | None,
    ) -> None:
        super().__init__(scope, id)
        self.access_log = log_group(self, "AccessLog", settings)
        self.rest = self._rest(settings)
        self._shells: dict[Shell, MakesIntegration] = {
            Shell.LAMBDA: _to_function(self, self.rest, function)
        }
        if balancer is not None:
            link = apigatewayv2.VpcLink(
                self,
                "Link",
                vpc=network.vpc,
                subnets=network.private,
                security_groups=[balancer.links],
            )
            self._shells[Shell.FARGATE] = _to_balancer(link, balancer)
        self._lay(table)
        self.url = self.rest.url.rstrip("/")
        if settings.domain:
            self._name(settings)
            self.url = f"https://{settings.domain}"

    def _rest(self, settings: Settings) -> apigateway.RestApi:
        return apigateway.RestApi(
            self,
            "Rest",
            description="Trunkline",
            endpoint_configuration=apigateway.EndpointConfiguration(
                types=[apigateway.EndpointType.REGIONAL]
            ),
            # Images, sound and files pass as they are.
            binary_media_types=["*/*"],
            # Without a role of the account for it, API Gateway writes no log.
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=(
                RemovalPolicy.RETAIN if settings.keep else RemovalPolicy.DESTROY
            ),
            disable_execute_api_endpoint=bool(settings.domain),
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                tracing_enabled=True,
                metrics_enabled=True,
                logging_level=apigateway.MethodLoggingLevel.OFF,
                data_trace_enabled=False,
                throttling_rate_limit=settings.rate,
                throttling_burst_limit=settings.burst,
                access_log_destination=apigateway.LogGroupLogDestination(self.access_log),
                access_log_format=apigateway.AccessLogFormat.custom(_as_json(ACCESS_LOG)),
            ),
        )

    def _lay(self, table: tuple[Row, ...]) -> None:
        """A resource for each path and those above it, a method for each row."""
        resources = {"": self.rest.rest_api_root_resource_id}
        deployment = self.rest.latest_deployment
        assert deployment is not None
        # CDK wants one that it knows as a method of the API.
        root, *others = table
        self.rest.root.add_method(root.method, self._root(root))
        for row in others:
            words = [word for word in row.path.split("/") if word]
            for depth in range(1, len(words) + 1):
                self._resource(resources, words[:depth])
            method = self._method(resources["/".join(words)], row)
            deployment.node.add_dependency(method)
        # A new table is a new deployment.
        deployment.add_to_logical_id({"table": [f"{r.method} {r.path} {r.shell}" for r in table]})
        deployment.add_to_logical_id({"shells": sorted(str(shell) for shell in self._shells)})

    def _root(self, row: Row) -> apigateway.Integration:
        made = self._shells[row.shell](row, [])
        return apigateway.Integration(
            type=apigateway.IntegrationType.AWS_PROXY,
            integration_http_method=made.integration_http_method,
            uri=made.uri,
            options=apigateway.IntegrationOptions(timeout=BUFFERED),
        )

    def _resource(self, resources: dict[str, str], words: list[str]) -> None:
        path = "/".join(words)
        if path not in resources:
            made = apigateway.CfnResource(
                self,
                _id(path),
                rest_api_id=self.rest.rest_api_id,
                parent_id=resources["/".join(words[:-1])],
                path_part=words[-1],
            )
            resources[path] = made.ref

    def _method(self, resource: str, row: Row) -> apigateway.CfnMethod:
        names = re.findall(r"\{(\w+)\+?\}", row.path)
        return apigateway.CfnMethod(
            self,
            f"{_id(row.path)}{row.method.title()}Method",
            rest_api_id=self.rest.rest_api_id,
            resource_id=resource,
            http_method=row.method,
            authorization_type="NONE",
            request_parameters={f"method.request.path.{name}": True for name in names},
            integration=self._shells[row.shell](row, names),
        )

    def _name(self, settings: Settings) -> None:
        name = apigateway.DomainName(
            self,
            "Domain",
            domain_name=settings.domain,
            certificate=acm.Certificate.from_certificate_arn(
                self, "Certificate", settings.certificate
            ),
            endpoint_type=apigateway.EndpointType.REGIONAL,
            security_policy=apigateway.SecurityPolicy.TLS_1_2,
            mapping=self.rest,
        )
        self.rest_domain = name
        if settings.hosted_zone:
            # By its id, so that nothing is looked up; the record's name is whole by its last dot.
            zone = route53.HostedZone.from_hosted_zone_attributes(
                self, "Zone", hosted_zone_id=settings.hosted_zone, zone_name=settings.domain
            )
            route53.ARecord(
                self,
                "Record",
                zone=zone,
                record_name=f"{settings.domain}.",
                target=route53.RecordTarget.from_alias(route53_targets.ApiGatewayDomain(name)),
            )


def _to_function(
    scope: Construct, rest: apigateway.RestApi, function: Function
) -> MakesIntegration:
    """Gives a row's integration with the function. One permission is for all of the API."""
    function.live.add_permission(
        "Api",
        principal=iam.ServicePrincipal("apigateway.amazonaws.com"),
        source_arn=rest.arn_for_execute_api("*", "/*", STAGE),
    )
    stack = Stack.of(scope)
    uri = (
        f"arn:{stack.partition}:apigateway:{stack.region}:lambda:path/2015-03-31/functions/"
        f"{function.live.function_arn}/invocations"
    )

    def integration(row: Row, names: list[str]) -> Integration:
        return Integration(
            type="AWS_PROXY",
            integration_http_method="POST",
            uri=uri,
            timeout_in_millis=BUFFERED.to_milliseconds(),
        )

    return integration


def _to_balancer(link: apigatewayv2.VpcLink, balancer: Balancer) -> MakesIntegration:
    """Gives a row's integration with the load balancer, which passes answers on as they come."""

    def integration(row: Row, names: list[str]) -> Integration:
        return Integration(
            type="HTTP_PROXY",
            integration_http_method="ANY",
            connection_type="VPC_LINK",
            connection_id=link.vpc_link_id,
            integration_target=balancer.internal.load_balancer_arn,
            uri=balancer.url + row.path.replace(PROXY, "{proxy}"),
            request_parameters={
                f"integration.request.path.{name}": f"method.request.path.{name}" for name in names
            },
            response_transfer_mode="STREAM",
            timeout_in_millis=STREAMED.to_milliseconds(),
        )

    return integration


def _id(path: str) -> str:
    """A construct's id: readable, and unique where only other letters are left."""
    words = re.sub(r"\W+", " ", path).title().replace(" ", "")
    return f"{words or 'Root'}{hashlib.sha256(path.strip('/').encode()).hexdigest()[:6]}"


def _as_json(fields: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":"{value}"' for name, value in fields.items()) + "}"
