"""LiteLLM's routing, asked directly: what it would pick, retry, cool down or fall back to.

Importing this imports LiteLLM, which takes seconds: let a module's fixture do it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai

from trunkline.call import Deployment
from trunkline.errors import ErrorKind

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from litellm.caching.caching import DualCache
from litellm.router_strategy.least_busy import LeastBusyLoggingHandler
from litellm.router_strategy.lowest_cost import LowestCostLoggingHandler
from litellm.router_strategy.lowest_latency import LowestLatencyLoggingHandler
from litellm.router_strategy.lowest_tpm_rpm import LowestTPMLoggingHandler
from litellm.router_strategy.lowest_tpm_rpm_v2 import LowestTPMLoggingHandler_v2
from litellm.router_strategy.simple_shuffle import simple_shuffle
from litellm.router_strategy.tag_based_routing import get_deployments_for_tag
from litellm.router_utils.client_initalization_utils import MaxParallelRequestsLimit
from litellm.router_utils.pre_call_checks.model_rate_limit_check import ModelRateLimitingCheck
from litellm.router_utils.router_callbacks.track_deployment_metrics import (
    increment_deployment_successes_for_current_minute,
)

GROUP = "group"
NONE = "none"
"""Stands for the refusal of a call that no deployment can take."""


def entries(deployments: Sequence[Deployment], spare_rpm: int = 0) -> list[dict[str, Any]]:
    """Deployments as LiteLLM's router holds them, with `rpm` raised by `spare_rpm`."""
    held = []
    for each in deployments:
        params = dict(each.params)
        for name in ("weight", "rpm", "tpm", "order"):
            if getattr(each, name) is not None:
                params[name] = getattr(each, name)
        if "rpm" in params:
            params["rpm"] += spare_rpm
        if each.tags:
            params["tags"] = list(each.tags)
        info = dict(each.info)
        held.append({"model_name": each.group, "litellm_params": params, "model_info": info})
    return held


def id_of(entry: Any) -> str:
    return str(entry["model_info"]["id"]) if entry else NONE


def _minutes(pattern: str, zone: Any = None) -> list[str]:
    """This minute and the next in LiteLLM's notation, since a test may run across the two."""
    now = datetime.now(zone)
    return [(now + timedelta(minutes=ahead)).strftime(pattern) for ahead in (0, 1)]


def shuffle(deployments: Sequence[Deployment]) -> str:
    return id_of(simple_shuffle(lambda model: None, entries(deployments), GROUP, None))


def least_busy(deployments: Sequence[Deployment], in_flight: Mapping[str, int]) -> str:
    """The pick after so many calls have started on each, by id."""
    handler = LeastBusyLoggingHandler(router_cache=DualCache())
    for identity, count in in_flight.items():
        for _ in range(count):
            handler.log_pre_api_call("model", [], _kwargs(identity))
    return id_of(handler.get_available_deployments(GROUP, entries(deployments)))


async def lowest_cost(
    deployments: Sequence[Deployment], used: Mapping[str, tuple[int, int]]
) -> str:
    """The pick when the minute has seen `used`: requests and tokens, by id."""
    cache = DualCache()
    cache.set_cache(
        f"cost_map:{GROUP}",
        {
            identity: {minute: {"rpm": rpm, "tpm": tpm} for minute in _minutes("%Y-%m-%d-%H-%M")}
            for identity, (rpm, tpm) in used.items()
        },
    )
    handler = LowestCostLoggingHandler(router_cache=cache)
    return id_of(await handler.async_get_available_deployments(GROUP, entries(deployments)))


class Latency:
    """LiteLLM's latency-based strategy, told of answers one by one."""

    def __init__(self, args: Mapping[str, Any]) -> None:
        self._cache = DualCache()
        self._handler = LowestLatencyLoggingHandler(self._cache, dict(args))

    async def answered(
        self, identity: str, seconds: float, output: int, first_chunk: float | None
    ) -> None:
        start = datetime(2026, 1, 1)
        kwargs = _kwargs(identity)
        if first_chunk is not None:
            kwargs["stream"] = True
            kwargs["completion_start_time"] = start + timedelta(seconds=first_chunk)
        usage = litellm.Usage(prompt_tokens=0, completion_tokens=output, total_tokens=output)
        await self._handler.async_log_success_event(
            kwargs, litellm.ModelResponse(usage=usage), start, start + timedelta(seconds=seconds)
        )

    async def timed_out(self, identity: str) -> None:
        error = litellm.Timeout("late", model="model", llm_provider="openai")
        await self._handler.async_log_failure_event(
            _kwargs(identity) | {"exception": error}, None, None, None
        )

    async def pick(self, deployments: Sequence[Deployment], stream: bool) -> str:
        request = {"stream": stream, "metadata": {}}
        chosen = await self._handler.async_get_available_deployments(
            GROUP, entries(deployments), request_kwargs=request
        )
        return id_of(chosen)


def lowest_usage(deployments: Sequence[Deployment], used: Mapping[str, tuple[int, int]]) -> str:
    """The first version's pick. It stops a request short of `rpm`, so it gets one more."""
    cache = DualCache()
    for minute in _minutes("%H-%M"):
        requests = {identity: rpm for identity, (rpm, _) in used.items()}
        tokens = {each.id: used[each.id][1] for each in deployments}
        cache.set_cache(f"{GROUP}:rpm:{minute}", requests)
        cache.set_cache(f"{GROUP}:tpm:{minute}", tokens)
    handler = LowestTPMLoggingHandler(router_cache=cache)
    return id_of(handler.get_available_deployments(GROUP, entries(deployments, spare_rpm=1)))


class UsageV2:
    """LiteLLM's second usage-based strategy, when the minute has seen `used`."""

    def __init__(
        self, deployments: Sequence[Deployment], used: Mapping[str, tuple[int, int]]
    ) -> None:
        self._entries = entries(deployments, spare_rpm=1)
        cache = DualCache()
        for minute in _minutes("%H-%M", UTC):
            for each in deployments:
                rpm, tpm = used[each.id]
                cache.set_cache(f"{each.id}:{each.model}:rpm:{minute}", rpm)
                cache.set_cache(f"{each.id}:{each.model}:tpm:{minute}", tpm)
        self._handler = LowestTPMLoggingHandler_v2(router_cache=cache)

    async def pick(self) -> str:
        try:
            return id_of(await self._handler.async_get_available_deployments(GROUP, self._entries))
        except litellm.RateLimitError:
            return NONE


def _kwargs(identity: str) -> dict[str, Any]:
    """What LiteLLM's callbacks are told of a call on the deployment."""
    return {"litellm_params": {"metadata": {"model_group": GROUP}, "model_info": {"id": identity}}}


def exception(kind: ErrorKind, **more: Any) -> Exception:
    """LiteLLM's exception for a kind of failure."""
    about = {"message": "the provider failed", "model": "model", "llm_provider": "openai", **more}
    request = httpx.Request("POST", "http://provider.test")
    response = httpx.Response(_EXCEPTIONS[kind][1], request=request)
    built = _EXCEPTIONS[kind][0]
    if built in (litellm.Timeout, litellm.InternalServerError, litellm.RateLimitError):
        return built(**about)
    return built(**about, response=response)


_EXCEPTIONS: Mapping[ErrorKind, tuple[Any, int]] = {
    ErrorKind.BAD_REQUEST: (litellm.BadRequestError, 400),
    ErrorKind.CONTEXT_WINDOW: (litellm.ContextWindowExceededError, 400),
    ErrorKind.CONTENT_POLICY: (litellm.ContentPolicyViolationError, 400),
    ErrorKind.AUTHENTICATION: (litellm.AuthenticationError, 401),
    ErrorKind.PERMISSION: (litellm.PermissionDeniedError, 403),
    ErrorKind.NOT_FOUND: (litellm.NotFoundError, 404),
    ErrorKind.TIMEOUT: (litellm.Timeout, 408),
    ErrorKind.RATE_LIMIT: (litellm.RateLimitError, 429),
    ErrorKind.INTERNAL: (litellm.InternalServerError, 500),
    ErrorKind.UNAVAILABLE: (litellm.ServiceUnavailableError, 503),
    ErrorKind.CONNECTION: (litellm.InternalServerError, 500),
}


def configured(deployments: Sequence[Deployment], configuration: Mapping[str, Any]) -> Any:
    """LiteLLM's router over the deployments."""
    return litellm.Router(model_list=entries(deployments), **configuration)


class Read:
    """What LiteLLM's router reads out of entries of `model_list`, each with a `model_info.id`."""

    def __init__(self, model_list: Sequence[Mapping[str, Any]], **configuration: Any) -> None:
        self._router = litellm.Router(
            model_list=deepcopy(list(model_list)), **deepcopy(configuration)
        )
        self._held = {id_of(entry): entry for entry in self._router.model_list}

    def order(self, identity: str) -> int | None:
        return litellm.utils.get_deployment_order(self._held[identity])

    def weights(self, identity: str) -> tuple[Any, ...]:
        """What shares of the calls are drawn by: `weight`, `rpm` and `tpm`."""
        params = self._held[identity]["litellm_params"]
        return tuple(params.get(name) for name in ("weight", "rpm", "tpm"))

    def limits(self, identity: str) -> tuple[int | None, int | None]:
        """Requests and tokens a minute, where they are limits."""
        tpm, rpm = ModelRateLimitingCheck(DualCache())._get_deployment_limits(self._held[identity])
        return rpm, tpm

    def places(self, identity: str) -> int | None:
        """Calls that may run at once."""
        client = self._router._get_client(
            self._held[identity], {}, client_type="max_parallel_requests"
        )
        assert client is None or isinstance(client, MaxParallelRequestsLimit)
        return None if client is None else client.max_parallel_requests

    def routing_group(self, name: str) -> dict[str, int | None] | None:
        """The order of each deployment that the name of a routing group stands for, by id."""
        members = self._router._get_routing_group_deployments(name)
        if members is None:
            return None
        return {id_of(each): litellm.utils.get_deployment_order(each) for each in members}

    def strategy(self, name: str) -> str:
        return str(self._router._get_routing_context(name)[0])

    def sent(self, identity: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call with these fields."""
        fields, entry = dict(request), self._held[identity]
        self._router._update_kwargs_with_deployment(entry, fields)
        return {**entry["litellm_params"], **fields}

    def timeout(self, identity: str, stream: bool, **request: Any) -> float | None:
        """Seconds; None where there is nothing but LiteLLM's default."""
        params = self._held[identity]["litellm_params"]
        found = self._router._get_timeout(kwargs={"stream": stream, **request}, data=params)
        return None if found == litellm.request_timeout else found


async def retries(
    deployments: Sequence[Deployment],
    configuration: Mapping[str, Any],
    kind: ErrorKind,
    of_request: int | None,
    of_deployment: int | None,
) -> int:
    """How often LiteLLM calls again when every call fails alike."""
    calls = 0

    async def fails(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        error = exception(kind)
        error.num_retries = of_deployment  # type: ignore[attr-defined]
        raise error

    over = configured(deployments, configuration)
    asked = {} if of_request is None else {"num_retries": of_request}
    try:
        await over.async_function_with_retries(
            original_function=fails, model=GROUP, messages=[], metadata={}, **asked
        )
    except openai.OpenAIError:
        return calls - 1
    raise AssertionError("the call did not fail")


async def failed_over(
    deployments: Sequence[Deployment], configuration: Mapping[str, Any], kind: ErrorKind
) -> list[str]:
    """The deployments that LiteLLM asks, in turn, when all fail alike and nothing is retried."""
    asked: list[str] = []
    over = configured(deployments, {"num_retries": 0, "disable_cooldowns": True} | configuration)

    async def fails(*args: Any, **kwargs: Any) -> None:
        entry = await over.async_get_available_deployment(GROUP, request_kwargs=kwargs)
        asked.append(id_of(entry))
        error = exception(kind)
        error.failed_deployment_id = asked[-1]  # type: ignore[attr-defined]
        raise error

    with suppress(openai.OpenAIError):
        await over.async_function_with_fallbacks(
            original_function=fails, model=GROUP, messages=[], metadata={}, num_retries=0
        )
    return asked


async def retries_the_only_one(only: Deployment, kind: ErrorKind) -> bool:
    over = configured([only], {})
    try:
        held = over.model_list
        return bool(over.should_retry_this_error(exception(kind), held, held))
    except openai.OpenAIError:
        return False


def delay(retry: int, retry_after: float, asked: int | None, seed: int) -> float:
    """Seconds before retry number `retry`, with jitter drawn after seeding."""
    headers = httpx.Headers({} if asked is None else {"retry-after": str(asked)})
    random.seed(seed)
    return litellm.calculate_retry_after(
        remaining_retries=10 - retry,
        max_retries=10,
        response_headers=headers,
        min_timeout=retry_after,
    )


def timeout(
    of_deployment: Mapping[str, Any],
    of_router: Mapping[str, Any],
    request_timeout: float | None,
    of_request: Mapping[str, float],
    stream: bool,
) -> float | None:
    """Seconds; None where LiteLLM has nothing but its default."""
    default = litellm.request_timeout
    litellm.request_timeout = request_timeout or default
    try:
        over = litellm.Router(model_list=[], **of_router)
    finally:
        litellm.request_timeout = default
    found = over._get_timeout(kwargs={"stream": stream, **of_request}, data=dict(of_deployment))
    return None if found == default else found


async def fallbacks(
    configuration: Mapping[str, Any], group: str, kind: ErrorKind, **request: Any
) -> list[tuple[str, Any]]:
    """Who is asked after `group` has failed, when all fail: groups, each with its temperature."""
    asked: list[tuple[str, Any]] = []
    over = litellm.Router(model_list=[], num_retries=0, max_fallbacks=1, **configuration)

    async def fails(*args: Any, **kwargs: Any) -> None:
        asked.append((kwargs["model"], kwargs.get("temperature")))
        raise exception(kind if len(asked) == 1 else ErrorKind.INTERNAL)

    try:
        await over.async_function_with_fallbacks(
            original_function=fails, model=group, messages=[], metadata={}, num_retries=0, **request
        )
    except openai.OpenAIError:
        return asked[1:]
    raise AssertionError("the call did not fail")


async def tagged(
    deployments: Sequence[Deployment],
    configuration: Mapping[str, Any],
    tags: Sequence[str],
    user_agent: str = "",
) -> set[str]:
    """The ids that are left; none where LiteLLM refuses."""
    over = configured(deployments, configuration)
    request = {"metadata": {"tags": list(tags), "user_agent": user_agent}}
    try:
        left = await get_deployments_for_tag(over, GROUP, over.model_list, request)
    except ValueError:
        return set()
    return {id_of(each) for each in left}


def lowest_order(deployments: Sequence[Deployment]) -> set[str]:
    left = litellm.utils.get_order_filtered_deployments(entries(deployments))
    return {id_of(each) for each in left}


class Cooldowns:
    """LiteLLM's router, told how calls ended."""

    def __init__(self, deployments: Sequence[Deployment], configuration: Mapping[str, Any]) -> None:
        self._router = configured(deployments, configuration)
        self._entries = {id_of(entry): entry for entry in entries(deployments)}

    def succeeded(self, identity: str) -> None:
        increment_deployment_successes_for_current_minute(self._router, identity)

    async def failed(self, identity: str, kind: ErrorKind, retry_after: int | None) -> float | None:
        """Seconds for which the failure cools the deployment; None if it doesn't."""
        error = exception(kind)
        if retry_after is not None:
            headers = httpx.Headers({"retry-after": str(retry_after)})
            error.litellm_response_headers = headers  # type: ignore[attr-defined]
        entry = self._entries[identity]
        told = {**entry["litellm_params"], "model_info": entry["model_info"]}
        if not self._router.deployment_callback_on_failure(
            {"exception": error, "litellm_params": told}, None, None, None
        ):
            return None
        cache = self._router.cooldown_cache
        [(_, value)] = cache.get_active_cooldowns([identity], None)
        cache.cooldown_store.delete_cache(cache.get_cooldown_cache_key(identity))
        return float(value["cooldown_time"])
