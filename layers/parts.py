"""What goes into the layers and what doesn't, with the reasons: data for `building.py`.

What is left out was looked for in what imports it; tests run every handler, and LiteLLM's lane,
from the layers that are built so.
"""

from __future__ import annotations

from typing import Final

PYTHON: Final = "3.12"
"""Of Lambda's runtime: what is compiled for it runs on no other."""

PLATFORMS: Final = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
"""By Lambda's names of architectures. Amazon Linux 2023, which the runtime runs on, has glibc
2.34."""

FUNCTIONS: Final = ("api", "rollout", "training", "maintenance")

NOT_INSTALLED: Final = {
    "granian": "Lambda is the server",
    "uvloop": "granian's event loop; the functions use asyncio's, and wait for one call at a time",
    "hf-xet": "speeds downloads from a hub up that nothing here downloads from",
}

NOT_NEEDED: Final = {
    "bin": "commands",
    "**/*.pyi": "for type checkers",
    "**/*.pxd": "for compilers, as the next ones are",
    "**/*.pyx": "",
    "**/*.c": "",
    "**/*.h": "",
    "**/*.a": "",
    "**/*.dist-info/RECORD": "names what isn't there any more",
    "**/*.dist-info/sboms": "what wheels were built of",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui": "pages of a router that isn't used",
    **{
        f"google/{name}": "what exporters of telemetry by gRPC read errors with"
        for name in "api cloud gapic logging longrunning rpc type".split()
    },
    "litellm/proxy/_experimental/out": "the pages of LiteLLM's proxy, which isn't run",
    "litellm/proxy/_lazy_openapi_snapshot.json": "its description of itself",
    "litellm/proxy/swagger": "its pages of that",
    "numpy/_core/include": "for compilers",
    "numpy/_core/lib": "for compilers",
    "numpy/_core/_simd.*": "for numpy's own tests",
    "numpy/f2py": "a compiler",
    "sqlalchemy/testing": "for authors of dialects",
    "**/tests": "of numpy, regex, referencing",
}
"""Globs of what is removed once it is installed."""

NATIVE: Final = ("litellm/rust_bridge/_native.abi3.so",)
"""What LiteLLM does OCR, and Bedrock's transcriptions, by, and nothing else unless `LITELLM_RUST`
is set: `RUST_REQUIRED` in its `rust_bridge/catalog.py`. A layer of its own, for functions that have
to answer those calls: it is almost as large as the rest of LiteLLM."""

SERVICES: Final = frozenset(
    "appconfigdata bedrock bedrock-agent bedrock-agent-runtime bedrock-agentcore bedrock-runtime"
    " cloudwatch comprehendmedical dynamodb events iam kms lambda logs opensearchserverless rds s3"
    " s3vectors sagemaker sagemaker-runtime secretsmanager signin sns sqs sso sso-oidc ssm"
    " stepfunctions sts transcribe".split()
)
"""Of AWS, whose descriptions botocore keeps: those that the gateway, LiteLLM or Powertools name."""

SERVICE_DATA: Final = "botocore/data"
