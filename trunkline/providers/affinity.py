"""Which account a call belongs to, where it names objects that live with a provider.

A file, a batch or a response exists only in the account that made it. Where the configuration has
several accounts for an operation, the ids that clients are given end in the account's tag
(`file-abc` becomes `file-abc_tl_1a2b3c4d`); with one account they are the provider's own. A tag
that comes back, in a path, a query or a body, is taken off and binds the call to its account. A
call without one goes where the client says (a model, a provider), else to the default account:
the first that serves the operation directly, OpenAI before Azure before others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from ..call import Answer, Call, Deployment, Operation
from ..errors import InvalidRequest
from . import labels
from .batch_files import first_model, with_models
from .mock_lane import is_mock
from .target import location, target_of

Resolve = Callable[[str], Sequence[Deployment]]

_SERVED_BY: Mapping[str, frozenset[str]] = {
    "assistants": frozenset({"openai", "azure"}),
    "batches": frozenset(
        "openai azure vertex_ai bedrock anthropic hosted_vllm mistral xai litellm_proxy".split()
    ),
    "containers": frozenset({"openai", "azure"}),
    "files": frozenset(
        "openai azure vertex_ai bedrock anthropic gemini hosted_vllm manus mistral xai"
        " litellm_proxy".split()
    ),
    "fine_tuning": frozenset({"openai", "azure", "vertex_ai"}),
    "interactions": frozenset({"gemini", "vertex_ai"}),
    "moderations": frozenset({"openai", "litellm_proxy"}),
    "responses": frozenset(
        "openai azure azure_ai xai github_copilot chatgpt litellm_proxy volcengine manus"
        " perplexity databricks openrouter hosted_vllm fireworks_ai edenai sail".split()
    ),
    "threads": frozenset({"openai", "azure"}),
    "vector_stores": frozenset(
        "openai azure azure_ai vertex_ai bedrock gemini pg_vector milvus ragflow s3_vectors valkey"
        " mongodb".split()
    ),
    "videos": frozenset("openai azure gemini vertex_ai runwayml fal_ai hosted_vllm".split()),
}
"""Providers whose objects LiteLLM can reach, by the operation's family."""

_IDENTITY = frozenset({"organization", "project", "region_name", "tenant_id", "client_id"})
_IDENTITY_PREFIXES = ("aws_", "azure_", "oci_", "vertex_", "watsonx_")
"""Parameters of a deployment that, beside address and key, tell accounts apart."""


class Accounts:
    """The accounts of one snapshot; everything in it is made from the deployments alone."""

    def __init__(self, deployments: Sequence[Deployment]) -> None:
        self._tags = {each: tag_of(each) for each in deployments if not each.missing}
        self._known = frozenset(self._tags.values())
        self._defaults: dict[tuple[str, str, str], tuple[Deployment, ...]] = {}
        self._shared: dict[str, bool] = {}

    def concerns(self, call: Call) -> bool:
        """Whether anything here has to be done for a call; most calls name no object."""
        operation = call.operation
        return operation.stateful or operation.model == "own" or labels.MARK_BYTES in call.raw

    def claim(self, call: Call, resolve: Resolve) -> None:
        """Takes the tags out of a call and binds it to their account.

        Raises InvalidRequest for objects of more than one account.
        """
        tags: set[str] = set()
        call.path = {name: labels.without(value, tags) for name, value in call.path.items()}
        call.query = [(name, labels.without(value, tags)) for name, value in call.query]
        labels.take_off(call.body, tags)
        tags &= self._known
        if len(tags) > 1:
            raise InvalidRequest("The request names objects of more than one provider's account.")
        call.account = next(iter(tags), "")
        if _is_batch_file(call) and not call.group:
            model = first_model(call.uploads[0])
            call.group = model if model and resolve(model) else ""
        if call.operation.model == "own" and call.group and not resolve(call.group):
            call.group = ""
        if call.account or not call.group:
            call.fallback_groups = {}

    def candidates(self, call: Call, group: str, resolve: Resolve) -> tuple[Deployment, ...]:
        """The deployments that a call may go to; none where the model is unknown.

        Raises InvalidRequest where the model, the provider and the objects don't fit together.
        """
        if not group:
            return self._default(call)
        found = tuple(resolve(group))
        fitting = tuple(each for each in found if self._fits(each, call.account, call.provider))
        if found and not fitting:
            raise InvalidRequest(
                f"The model '{group}' is not in the account that the request names.", param="model"
            )
        return fitting

    async def prepared(self, call: Call, deployment: Deployment, resolve: Resolve) -> Call:
        """The call as it is sent to the account: a batch file names the provider's models."""
        if not _is_batch_file(call):
            return call
        tag = self._tag(deployment)

        def upstream(model: str) -> str | None:
            members = (each for each in resolve(model) if self._tag(each) == tag)
            first = next(members, None)
            return first.upstream_model if first else None

        before = call.uploads[0]
        after = await with_models(before, upstream)
        form = tuple((name, after if part is before else part) for name, part in call.form)
        return replace(call, form=form, uploads=(after, *call.uploads[1:]))

    def labelled(self, call: Call, deployment: Deployment, answer: Answer) -> Answer:
        """The answer with the provider's ids, and where there are several accounts with the tag of
        the one on them."""
        if not call.operation.stateful:
            return answer
        tag = self._tag(deployment)
        if tag not in self._known or not self._is_shared(call.operation):
            tag = ""
        if answer.chunks is None:
            answer.body = labels.with_providers_ids(answer.body)
            if tag:
                answer.body = labels.put_on(answer.body, tag)
        elif call.stream:
            answer.chunks = _labelled(answer.chunks, tag)
        return answer

    def _default(self, call: Call) -> tuple[Deployment, ...]:
        key = (call.operation.name, call.account, call.provider)
        found = self._defaults.get(key)
        if found is None:
            found = self._defaults[key] = self._find_default(*key, call.operation)
        if not found:
            whose = f" with {call.provider}" if call.provider else ""
            raise InvalidRequest(
                f"No deployment{whose} serves {call.operation.name}; name a model that does.",
                code="operation_not_available",
            )
        return found

    def _find_default(
        self, _: str, account: str, provider: str, operation: Operation
    ) -> tuple[Deployment, ...]:
        ranked = [
            (rank, each)
            for each in self._tags
            if (rank := _rank(each, operation)) is not None and self._fits(each, account, provider)
        ]
        return (min(ranked, key=lambda pair: pair[0])[1],) if ranked else ()

    def _fits(self, deployment: Deployment, account: str, provider: str) -> bool:
        return (not provider or deployment.provider == provider) and (
            not account or self._tag(deployment) == account
        )

    def _is_shared(self, operation: Operation) -> bool:
        """Whether several accounts serve an operation's family."""
        shared = self._shared.get(operation.family)
        if shared is None:
            reachable = _SERVED_BY.get(operation.family, frozenset())
            serving = {
                tag
                for each, tag in self._tags.items()
                if not is_mock(each)
                and (each.provider in reachable or target_of(each, operation) is not None)
            }
            shared = self._shared[operation.family] = len(serving) > 1
        return shared

    def _tag(self, deployment: Deployment) -> str:
        known = self._tags.get(deployment)
        return tag_of(deployment) if known is None else known


def tag_of(deployment: Deployment) -> str:
    """The account's name: eight hexadecimal digits of a digest, from which nothing is read back."""
    place = location(deployment)
    identity = {
        name: value
        for name, value in deployment.params.items()
        if name in _IDENTITY or name.startswith(_IDENTITY_PREFIXES)
    }
    text = json.dumps(
        [deployment.provider, place.base, place.key or place.authorization, identity],
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _rank(deployment: Deployment, operation: Operation) -> int | None:
    """How well a deployment serves an operation, the lower the better; None where it doesn't."""
    if is_mock(deployment):
        return 9
    provider = deployment.provider
    if target_of(deployment, operation) is not None:
        return {"openai": 0, "azure": 1}.get(provider, 2)
    if operation.function and provider in _SERVED_BY.get(operation.family, ()):
        return {"openai": 3, "azure": 4}.get(provider, 5)
    return None


def _is_batch_file(call: Call) -> bool:
    return (
        call.operation.name == "files.create"
        and call.body.get("purpose") == "batch"
        and bool(call.uploads)
    )


async def _labelled(chunks: AsyncIterator[bytes], tag: str) -> AsyncIterator[bytes]:
    async with aclosing(chunks) as source:  # type: ignore[type-var]
        async for frames in source:
            named = labels.with_providers_ids(frames)
            yield labels.put_on_frames(named, tag) if tag else named
