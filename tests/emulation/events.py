"""What a REST API hands a function: the event of a proxy integration.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

from __future__ import annotations

import json
from typing import Any

STAGE = "v1"
PATH = "/v1/chat/completions"


def chat(key: str, model: str) -> dict[str, Any]:
    """A chat call."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    body = {"model": model, "messages": [{"role": "user", "content": "How far is the moon?"}]}
    return {
        "resource": "/{proxy+}",
        "path": PATH,
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": PATH.strip("/")},
        "stageVariables": None,
        "requestContext": {
            "stage": STAGE,
            "requestId": "1",
            "identity": {"sourceIp": "127.0.0.1"},
            "path": f"/{STAGE}{PATH}",
            "httpMethod": "POST",
            "resourcePath": "/{proxy+}",
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
