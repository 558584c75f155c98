"""Requests as API Gateway and load balancers hand them to Lambda, and answers as they take them.

The shapes are those of AWS's documentation: "Input format of a Lambda function for proxy
integration", format 1.0 and 2.0, and "Lambda functions as targets".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx

CALLER = "203.0.113.7"
STAGE = "prod"
TEXT = ("application/json", "application/x-www-form-urlencoded", "text/")

Event = dict[str, Any]


def rest(request: httpx.Request, *, mapping: str = "") -> Event:
    """Of a REST API. mapping: the base path of a custom domain, which the path then begins with."""
    path = request.url.raw_path.partition(b"?")[0].decode()
    query = httpx.QueryParams(request.url.query)
    many = {name: query.get_list(name) for name in query}
    named: dict[str, list[str]] = {}
    for name, value in request.headers.multi_items():
        named.setdefault(name.title(), []).append(value)
    return {
        "resource": "/{proxy+}",
        "path": mapping + path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in named.items()}
        | {"X-Forwarded-Proto": "https"},
        "multiValueHeaders": named | {"X-Forwarded-Proto": ["https"]},
        "queryStringParameters": {name: values[-1] for name, values in many.items()} or None,
        "multiValueQueryStringParameters": many or None,
        "pathParameters": {"proxy": path[1:]},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "abc123",
            "resourcePath": "/{proxy+}",
            "httpMethod": request.method,
            "extendedRequestId": "JKJaXmPLvHcESHA=",
            "path": f"/{STAGE}{path}",
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": STAGE,
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": CALLER, "userAgent": "python-httpx"},
            "domainName": "abcdef.execute-api.us-east-1.amazonaws.com",
            "apiId": "abcdef",
        },
        **_body(request),
    }


def http(request: httpx.Request) -> Event:
    """Of an HTTP API, format 2.0, with a stage of its own."""
    path = httpx.URL(request.url).path
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": f"/{STAGE}{path}",
        "rawQueryString": request.url.query.decode(),
        "headers": dict(request.headers),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdef",
            "stage": STAGE,
            "requestId": "JKJaXmPLvHcESHA=",
            "http": {
                "method": request.method,
                "path": f"/{STAGE}{path}",
                "protocol": "HTTP/1.1",
                "sourceIp": CALLER,
                "userAgent": "python-httpx",
            },
        },
        **_body(request),
    }


def balancer(request: httpx.Request) -> Event:
    """Of an Application Load Balancer."""
    path, _, query = request.url.raw_path.decode().partition("?")
    given = dict(part.split("=", 1) for part in query.split("&") if part)  # it doesn't decode them
    headers = dict(request.headers) | {
        "x-forwarded-for": f"192.0.2.99, {CALLER}",
        "x-forwarded-proto": "https",
        "x-forwarded-port": "443",
    }
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/6d0ecf831eec9f09"
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": request.method,
        "path": path,
        "queryStringParameters": given,
        "headers": headers,
        **_body(request),
    }


def _body(request: httpx.Request) -> dict[str, Any]:
    content = request.read()
    if not content:
        return {"body": None, "isBase64Encoded": False}
    if request.headers.get("content-type", "").startswith(TEXT):
        return {"body": content.decode(), "isBase64Encoded": False}
    return {"body": base64.b64encode(content).decode(), "isBase64Encoded": True}


def response(answer: dict[str, Any]) -> httpx.Response:
    """What a client gets of it."""
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    headers = list((answer.get("headers") or {}).items())
    headers += [
        (name, value)
        for name, values in (answer.get("multiValueHeaders") or {}).items()
        for value in values
    ]
    return httpx.Response(answer["statusCode"], headers=headers, content=content)


class Transport(httpx.BaseTransport):
    """Leads a client's requests to a function. shape: `rest`, `http` or `balancer`.

    sent: the events, as they were handed over.
    """

    def __init__(
        self,
        invoke: Callable[[Event], dict[str, Any]],
        shape: Callable[[httpx.Request], Event] = rest,
    ) -> None:
        self._invoke = invoke
        self._shape = shape

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        event = json.loads(json.dumps(self._shape(request)))
        return response(self._invoke(event))
