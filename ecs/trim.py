"""Takes out of installed packages what the gateway never uses, and compiles what it loads.

The image's builder runs it, with the Python of the image's base. Only files go of which it is known
that nothing imports them: pages of LiteLLM's own proxy, tests, stubs, headers, and descriptions of
AWS services for which neither the gateway nor LiteLLM makes a client. The image's tests make calls
through what is left.
"""

from __future__ import annotations

import compileall
import py_compile
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

FOLDERS = (
    "bin",  # commands of dependencies; the gateway's own is beside the packages
    # What exporters of telemetry by gRPC read errors with.
    *(f"google/{name}" for name in "api cloud gapic logging longrunning rpc type".split()),
    "litellm/proxy/_experimental/out",  # the pages of LiteLLM's console
    "litellm/proxy/swagger",
    "numpy/_core/include",
    "numpy/distutils",
    "numpy/f2py",
    "sqlalchemy/testing",
    "hf_xet",  # makes downloads from Hugging Face faster; huggingface_hub goes without
)
PATTERNS = (
    "hf_xet-*.dist-info",
    "litellm/proxy/_lazy_openapi_snapshot.json",
    "numpy/_core/_simd.*",  # for numpy's own tests
    "numpy/**/*.a",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.h",
    "**/*.c",
)
TESTS = frozenset({"test", "tests"})
TESTED = ("aiohttp", "greenlet", "numpy", "referencing", "regex", "uvloop")
"""Packages whose folders of tests hold nothing else; numpy.testing isn't one, and stays."""

AWS = "botocore/data"
SERVICES = frozenset(
    """
    bedrock bedrock-agent bedrock-agent-runtime bedrock-agentcore bedrock-runtime cloudwatch
    comprehend comprehendmedical dynamodb elasticache events iam kms lambda logs
    opensearchserverless polly rds s3 s3vectors sagemaker sagemaker-runtime secretsmanager signin
    sns sqs ssm sso sso-oidc sts textract transcribe
    """.split()
)
"""AWS services of which a client can be made: those that the gateway and LiteLLM name, and those by
which AWS's library comes by credentials. Others, `client("ec2")`, raise UnknownServiceError."""

UNCOMPILED = re.compile(
    r"/litellm/(proxy/\w+|integrations|_v2|tracing)/|/sqlalchemy/dialects/m"
    r"|/opentelemetry/semconv/|/(azure|huggingface_hub|msal|tests?)/"
)
"""Modules that a gateway seldom loads, or never; they are compiled each time that they are."""


def trim(site: Path) -> None:
    """Takes out what isn't used; twice is as good as once."""
    for path in sorted(set(_unused(site)), reverse=True):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _unused(site: Path) -> Iterator[Path]:
    yield from (site / name for name in FOLDERS if (site / name).is_dir())
    for pattern in PATTERNS:
        yield from site.glob(pattern)
    for package in TESTED:
        for path in (site / package).rglob("*"):
            if path.name in TESTS and path.is_dir():
                yield path
    for path in (site / AWS).iterdir():
        if path.is_dir() and path.name not in SERVICES:
            yield path


def strip(site: Path) -> None:
    """Takes the names for debuggers out of libraries, whatever platform they are for.

    Those that a wheel brings for its own (`numpy.libs`) were changed in a way that strip may break.
    """
    for path in site.rglob("*.so"):
        if not path.relative_to(site).parts[0].endswith(".libs"):
            subprocess.run(["strip", "--strip-unneeded", path], check=True)


def compile_modules(site: Path) -> None:
    """Compiles what serving loads, without dates: the same sources give the same files."""
    compileall.compile_dir(
        site,
        quiet=2,
        rx=UNCOMPILED,
        workers=0,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
