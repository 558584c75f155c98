"""The REST API's way to the load balancer: VPC links, and answers that stream.

The emulator sends `HTTP_PROXY` integrations over the network and waits for the whole answer. Here
one whose connection is a VPC link goes to the load balancer that its `IntegrationTarget` names,
and streams when its `ResponseTransferMode` is `STREAM`, as API Gateway does; else it is gathered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

_KEPT = {"IntegrationTarget": "integrationTarget", "ResponseTransferMode": "responseTransferMode"}


def _remembering(own: Mapping[str, Any]) -> dict[str, Any]:
    """Methods, with those fields of their integrations that the emulator drops."""
    from ministack.services import apigateway_v1

    def keep(properties: Any) -> None:
        given = properties.get("Integration") or {}
        methods = apigateway_v1._resources[properties["RestApiId"]][properties["ResourceId"]]
        made = methods["resourceMethods"][properties["HttpMethod"]].get("methodIntegration")
        if made is not None:
            made.update({name: given[cfn] for cfn, name in _KEPT.items() if cfn in given})

    def create(logical: str, properties: Any, stack: str) -> Any:
        result = own["create"](logical, properties, stack)
        keep(properties)
        return result

    def update(*arguments: Any, **named: Any) -> Any:
        result = own["update"](*arguments, **named)
        keep(arguments[2])
        return result

    return {**own, "create": create, "update": update}


def _target(integration: Mapping[str, Any]) -> Any:
    """The load balancer that a VPC link's integration leads to; None where there is none."""
    from ministack.services import alb

    arn = integration.get("integrationTarget") or ""
    host = urlsplit(integration.get("uri", "")).hostname or ""
    return alb._lbs.get(arn) if arn else alb.find_lb_for_host(host)


def _path(integration: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """The path that the target is asked for. values: of the path's parameters."""
    path = urlsplit(integration.get("uri", "")).path or "/"
    for name, source in (integration.get("requestParameters") or {}).items():
        if name.startswith("integration.request.path."):
            value = values.get(str(source).removeprefix("method.request.path."), "")
            path = path.replace("{" + name.removeprefix("integration.request.path.") + "}", value)
    return path


async def _gathered(streaming: Any) -> bytes:
    """The whole of an answer that would have streamed."""
    pieces: list[bytes] = []

    async def send(message: Mapping[str, Any]) -> None:
        pieces.append(message.get("body", b""))

    await streaming.runner(send, asyncio.Event().wait)
    return b"".join(pieces)


async def _through(
    integration: Any, method: str, headers: Any, body: Any, query: Any, values: Any
) -> Any:
    from ministack.core.responses import StreamingResponse
    from ministack.services import alb, apigateway_v1

    balancer = _target(integration)
    if balancer is None:
        return apigateway_v1._gw_error(
            "INTEGRATION_FAILURE", "no load balancer behind the VPC link"
        )
    path = _path(integration, values or {})
    status, sent, answer = await alb.dispatch_request(
        balancer, method, path, headers, body, query,
        raw_query_string=urlencode(query or {}, doseq=True), raw_path=path,
    )  # fmt: skip
    if (
        isinstance(answer, StreamingResponse)
        and integration.get("responseTransferMode") != "STREAM"
    ):
        answer = await _gathered(answer)
    return status, sent, answer


def install() -> None:
    from ministack.services import apigateway_v1
    from ministack.services.cloudformation import provisioners

    known = provisioners._RESOURCE_HANDLERS
    known["AWS::ApiGateway::Method"] = _remembering(known["AWS::ApiGateway::Method"])
    own = apigateway_v1._invoke_http_proxy_v1

    async def proxy(
        integration: Any,
        path: str,
        method: str,
        headers: Any,
        body: Any,
        query: Any,
        values: Any = None,
    ) -> Any:
        if integration.get("connectionType") == "VPC_LINK":
            return await _through(integration, method, headers, body, query, values)
        return await own(integration, path, method, headers, body, query, values)

    apigateway_v1._invoke_http_proxy_v1 = proxy
    reference = apigateway_v1._extract_lambda_ref_from_integration_uri
    apigateway_v1._extract_lambda_ref_from_integration_uri = lambda uri: reference(
        (uri or "").replace("/response-streaming-invocations", "/invocations")
    )
