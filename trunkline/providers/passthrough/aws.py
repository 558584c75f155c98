"""AWS's services: regions, and requests signed with Signature Version 4 by botocore.

botocore is imported with the first request that needs it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ...errors import NoDeployment
from ..aws_failures import refusal, refused
from ..environment import ENVIRON
from ..secrets import secrets_in
from .request import Outgoing

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_REGION_ENV = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
_ROUTES = re.compile(r"^(?:(?:converse|converse_like|invoke|async_invoke)/)?")
_SIGNED = ("content-type", "x-amz-target")
_OF_ANOTHER_SIGNATURE = ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256")


def places(params: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """What the base URLs leave open: the region, and the domain of its partition."""
    region = region_of(params, environ)
    return {
        "region": region,
        "domain": "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com",
    }


def region_of(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The region of a deployment, else of the environment. Raises NoDeployment."""
    named = [params.get("aws_region_name"), *(environ.get(name) for name in _REGION_ENV)]
    region = next((str(name) for name in named if name), "")
    if not _REGION.fullmatch(region):
        raise NoDeployment(
            "No AWS region: configure aws_region_name, or set AWS_REGION in the gateway's"
            " environment.",
            status=503,
        )
    return region


def model_id(upstream: str) -> str:
    """Bedrock's id of a model, without the words that tell LiteLLM how to call it."""
    name = _ROUTES.sub("", upstream)
    first, slash, rest = name.partition("/")
    return rest if slash and _REGION.fullmatch(first) else name


def name_operation(request: Outgoing, target: str) -> None:
    """Puts the operation where AWS's JSON protocol has it: `/Name` becomes a header."""
    operation = request.path.strip("/")
    if operation:
        request.headers["x-amz-target"] = f"{target}.{operation}"
        request.headers["content-type"] = "application/x-amz-json-1.1"
    request.path = "/"


async def sign(
    request: Outgoing, service: str, params: Mapping[str, Any], environ: Mapping[str, str]
) -> None:
    """Adds the signature. The body must be whole.

    Raises NoDeployment without credentials, and ProviderError where AWS refuses them.
    """
    from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # noqa: PLC0415

    assert isinstance(request.body, bytes)
    # Credentials of roles and instances are fetched over the network, by blocking code.
    region = region_of(params, environ)
    try:
        credentials = await asyncio.to_thread(_credentials, params, region)
    except Exception as error:
        raise refusal(error, service, secrets_in(params)) or error from error
    for name in _OF_ANOTHER_SIGNATURE:
        request.headers.popall(name, None)
    headers = {name: request.headers[name] for name in _SIGNED if name in request.headers}
    signed = AWSRequest(request.method, str(request.url), headers=headers, data=request.body)
    SigV4Auth(credentials, service, region).add_auth(signed)
    request.headers.update(signed.headers.items())


def _credentials(params: Mapping[str, Any], region: str) -> Any:
    names = (
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_profile_name",
        "aws_role_name",
        "aws_session_name",
        "aws_external_id",
        "aws_web_identity_token",
    )
    source = _source(region, *(str(params.get(name) or "") for name in names))
    found = source.get_frozen_credentials() if source else None
    if found is None:
        raise NoDeployment(
            "No AWS credentials: configure them in a deployment, or give the gateway's environment"
            " a profile, keys or a role.",
            status=503,
        )
    return found


@lru_cache(maxsize=64)
def _source(
    region: str,
    key: str,
    secret: str,
    token: str,
    profile: str,
    role: str,
    session_name: str,
    external: str,
    identity: str,
) -> Any:
    """What gives credentials, and renews them when they expire; None where there are none."""
    from botocore.credentials import (  # type: ignore[import-untyped]  # noqa: PLC0415
        AssumeRoleCredentialFetcher,
        AssumeRoleWithWebIdentityCredentialFetcher,
        Credentials,
        DeferredRefreshableCredentials,
    )
    from botocore.session import Session  # type: ignore[import-untyped]  # noqa: PLC0415

    session = Session(profile=profile or None)
    session.set_config_variable("region", region)  # of the service that gives out roles
    extra = {"RoleSessionName": session_name or "trunkline"}
    if role and identity:
        web = AssumeRoleWithWebIdentityCredentialFetcher(
            session.create_client, partial(_web_identity, identity), role, extra_args=extra
        )
        return DeferredRefreshableCredentials(
            web.fetch_credentials, "assume-role-with-web-identity"
        )
    own = Credentials(key, secret, token or None) if key and secret else session.get_credentials()
    if not role or own is None:
        return own
    if external:
        extra["ExternalId"] = external
    fetcher = AssumeRoleCredentialFetcher(session.create_client, own, role, extra_args=extra)
    return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _web_identity(reference: str) -> str:
    """The token that LiteLLM's reference stands for: in a file, or in the environment."""
    kind, _, name = reference.removeprefix("oidc/").partition("/")
    if kind == "env":
        return ENVIRON.get(name, "")
    if kind not in {"file", "env_path"}:
        reason = "aws_web_identity_token takes oidc/file/…, oidc/env/… and oidc/env_path/… here"
        raise refused("a web identity", reason)
    try:
        return Path(name if kind == "file" else ENVIRON.get(name, "")).read_text("utf-8").strip()
    except OSError as error:
        raise refused("a web identity", f"its file can't be read ({error.strerror})") from None
