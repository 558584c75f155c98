"""LiteLLM's SDK: imported late, once a process, with everything switched off that the gateway does
itself: callbacks, prices, logging, retries, caches, and every request that is nobody's call.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any

from ..dataclass import dataclass
from ..errors import ErrorKind
from . import failures, litellm_logs, litellm_openai, litellm_stand_ins

log = logging.getLogger(__name__)

ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
    "DEFAULT_MAX_RETRIES": "0",
    "ANTHROPIC_MESSAGES_MAX_DETACHED_STREAM_DRAINS": "0",
}
"""Set before the import: nothing is fetched from the network, no `.env` file is read, no client of
a provider retries by itself, and no stream is read on when its client has gone."""

GLOBALS = frozenset(
    """
    drop_params modify_params ssl_verify ssl_certificate ssl_security_level ssl_ecdh_curve
    force_ipv4 disable_aiohttp_transport aiohttp_trust_env user_url_validation
    user_url_allowed_hosts enable_preview_features vertex_project vertex_location
    vertex_ai_safety_settings organization
    add_function_to_prompt disable_add_transform_inline_image_block enable_json_schema_validation
    use_chat_completions_url_for_anthropic_messages reasoning_auto_summary
    """.split()
)
"""Keys of `litellm_settings` that change how LiteLLM speaks to providers."""

_DEFAULTS: dict[str, Any] = {}
"""LiteLLM's own values of those, as they are after the import."""

_ELSEWHERE = {"agenerate_content_stream": "google_genai.agenerate_content_stream"}
"""Functions that stand in another module of LiteLLM than `litellm` itself."""

_FINISHING = frozenset({"openai", "azure", "anthropic", "bedrock", "vertex_ai", "gemini"})

_IMPORTED_IN_CALLS = (
    "litellm.llms.anthropic.pass_through.messages.streaming_iterator",
    "litellm.google_genai.streaming_iterator",
    "litellm.responses.mcp.litellm_proxy_mcp_handler",
)
"""What LiteLLM would otherwise import in the middle of a first call, with all others waiting."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """LiteLLM, loaded.

    module: `litellm` itself. observer: the class of what LiteLLM reports a call's course to.
    """

    module: Any
    observer: Any

    def function(self, name: str) -> Callable[..., Any]:
        """LiteLLM's function by the name that stands in the operations table."""
        found: Callable[..., Any] = attrgetter(_ELSEWHERE.get(name, name))(self.module)
        return found

    def finishes(self, provider: str) -> bool:
        """Whether LiteLLM tells of the provider's streams why they end."""
        return provider in _FINISHING or provider in self.module.openai_compatible_providers

    def observe(self, function: str, call_id: str, named: Mapping[str, Any]) -> Any:
        """What LiteLLM reports one call to. named: the call's arguments."""
        observer = self.observer(
            model=named.get("model"),
            messages=named.get("messages") or named.get("prompt") or named.get("input"),
            stream=bool(named.get("stream")) or function.endswith("_stream"),
            call_type=function.rpartition(".")[2],
            start_time=datetime.datetime.now(),
            litellm_call_id=call_id,
            litellm_trace_id=call_id,
            function_id="",
        )
        observer.update_environment_variables(
            model=named.get("model"),
            user="",
            optional_params={},
            litellm_params={"api_base": ""},
            stream_options=named.get("stream_options"),
        )
        return observer


class SdkLoader:
    """Imports LiteLLM once, in a thread, while the process serves without it.

    settings: `litellm_settings` of the configuration.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._pending: asyncio.Future[Sdk] | None = None
        self._sdk: Sdk | None = None

    @property
    def loaded(self) -> bool:
        return self._sdk is not None

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Takes another configuration's `litellm_settings`, for all calls from now on."""
        self._settings = settings
        if self._sdk is not None:
            _apply(self._sdk.module, settings)

    def warm(self) -> None:
        """Starts loading in the background."""
        if self._sdk is None and self._pending is None:
            loop = asyncio.get_running_loop()
            self._pending = loop.create_future()
            self._pending.add_done_callback(self._ended)
            # A daemon: a process that is told to stop doesn't wait for an import to end.
            threading.Thread(target=self._load, args=(loop,), daemon=True).start()

    async def load(self) -> Sdk:
        """LiteLLM; whoever asks while it loads waits. Raises ProviderError when it can't."""
        if self._sdk is not None:
            return self._sdk
        self.warm()
        assert self._pending is not None
        try:
            return await asyncio.shield(self._pending)
        except Exception as error:
            message = f"LiteLLM could not be loaded: {type(error).__name__}"
            raise failures.failure(ErrorKind.INTERNAL, message) from error

    async def close(self) -> None:
        """Closes the connections that LiteLLM keeps."""
        if self._sdk is not None:
            await self._sdk.module.close_litellm_async_clients()

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        sdk, failed = None, None
        try:
            sdk = _import(self._settings)
        except Exception as error:
            log.exception("LiteLLM could not be loaded")
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._hand_over, sdk, failed)

    def _hand_over(self, sdk: Sdk | None, failed: Exception | None) -> None:
        assert self._pending is not None
        if sdk is not None:
            self._sdk = sdk
            self._pending.set_result(sdk)
        elif failed is not None:
            self._pending.set_exception(failed)

    def _ended(self, pending: asyncio.Future[Sdk]) -> None:
        """After a failure the next call tries again."""
        pending.exception()
        self._pending = None


def _import(settings: Mapping[str, Any]) -> Sdk:
    already = "litellm" in sys.modules
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    litellm_stand_ins.install()
    litellm: Any = import_module("litellm")
    logging_class = import_module("litellm.litellm_core_utils.litellm_logging").Logging
    for name in _IMPORTED_IN_CALLS:
        import_module(name)
    litellm_stand_ins.count_nothing_of_broken_streams()
    litellm_openai.shorten()

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.disable_hf_tokenizer_download = True
    litellm.num_retries = None
    _DEFAULTS.update({name: getattr(litellm, name, None) for name in GLOBALS - _DEFAULTS.keys()})
    _apply(litellm, settings)
    if not already:
        # Its hundred thousands of objects live as long as the process: no collection looks at
        # them again, which takes pauses of 50 ms and more out of the serving.
        gc.freeze()
    return Sdk(litellm, _observer(logging_class))


def _apply(litellm: Any, settings: Mapping[str, Any]) -> None:
    for name, default in _DEFAULTS.items():
        value = settings.get(name)
        setattr(litellm, name, default if value is None else value)
    litellm_logs.configure(verbose=bool(settings.get("set_verbose")))


def _observer(base: Any) -> Any:
    """A class of LiteLLM's `Logging` that reports to nobody.

    The gateway prices, counts and logs calls itself, whatever their lane. LiteLLM's way of doing it
    takes two fifths of the time of a call.
    """

    def nothing(self: Any, *arguments: Any, **named: Any) -> None:
        return None

    async def nothing_async(self: Any, *arguments: Any, **named: Any) -> None:
        return None

    def unclaimed(self: Any) -> bool:
        return False

    return type(
        "SilentLogging",
        (base,),
        {
            "response_cost_calculator": nothing,
            "success_handler": nothing,
            "failure_handler": nothing,
            "async_success_handler": nothing_async,
            "async_failure_handler": nothing_async,
            "dispatch_success_handlers": nothing_async,
            "dispatch_failure_handlers": nothing_async,
            "handle_sync_success_callbacks_for_async_calls": nothing,
            "claim_async_success_log": unclaimed,
        },
    )
