"""The short way through OpenAI's SDK, which LiteLLM asks OpenAI, Azure and their like with.

A call spends half of its time in that SDK and in httpx below it, on what is the same each time or
undone at once. Four of its steps are taken more shortly; what is sent and what comes of it is the
same.

    the chat       is not walked through by its types, in search of what Python spells unlike JSON
    the request    takes its URL and headers from the one before, as far as they are the same
    the transport  is asked directly, without httpx's redirects, cookies and hooks
    the answer     stays the JSON values that it came as: LiteLLM wants nothing else of it

Cookies aren't kept: the clients of a gateway share its connections, and those of one provider's
answer are none of the next client's.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from .. import json_text

CHATS = "/chat/completions"
"""How the paths end that the short ways are for."""

MOST_KNOWN = 64
"""Requests that one client of the SDK remembers; they differ by URL, headers and timeout."""

_VARYING = ("content-length", "idempotency-key")
"""Headers of a request that aren't the same the next time."""

_MARK = "trunkline"
"""Extension of the responses to LiteLLM's requests, by httpx's name for what goes with one."""


@cache
def shorten() -> None:
    """Puts the short ways in place, once; to be called when LiteLLM is imported."""
    openai: Any = import_module("openai")
    base = import_module("openai._base_client").AsyncAPIClient
    chats = vars(import_module("openai.resources.chat.completions.completions"))

    chats["async_maybe_transform"] = _as_it_is
    chats["ChatCompletion"] = _plain_answer(chats["ChatCompletion"])
    openai.AsyncOpenAI._build_request = _building(openai.AsyncOpenAI._build_request)
    base._send_request = _sending(base._send_request)


async def _as_it_is(data: dict[str, Any], annotation: object) -> dict[str, Any]:
    is_given = import_module("openai._utils").is_given
    return {name: value for name, value in data.items() if is_given(value)}


def _plain_answer(usual: Any) -> Any:
    """A class that the SDK builds a chat's answer as. usual: what it is without LiteLLM."""
    construct = import_module("openai._models").construct_type

    class PlainAnswer(usual):  # type: ignore[misc]
        @classmethod
        def build(cls, *, response: Any, data: Any) -> Any:
            if not (isinstance(data, dict) and response.extensions.get(_MARK)):
                return construct(type_=usual, value=data)
            answer = cls.model_construct()
            answer.__dict__["data"] = data
            return answer

        def model_dump(self, **_: Any) -> Any:
            return self.__dict__["data"]

    return PlainAnswer


def _building(build: Any) -> Any:
    """`_build_request` of a client of the SDK."""
    httpx: Any = import_module("httpx")

    def short(self: Any, options: Any, *, retries_taken: int = 0) -> Any:
        body = options.json_data
        key = _sameness(self, options)
        if key is None or type(body) is not dict or retries_taken:
            return build(self, options, retries_taken=retries_taken)
        known = self.__dict__.setdefault("_known_requests", {})
        like = known.get(key)
        if like is None:
            request = build(self, options, retries_taken=retries_taken)
            if len(known) >= MOST_KNOWN:
                known.clear()
            headers = request.headers.copy()
            for name in _VARYING:
                headers.pop(name, None)
            known[key] = request.url, headers.raw, request.extensions
            return request
        url, headers, extensions = like
        content = json_text.dumps(body | options.extra_json if options.extra_json else body)
        request = httpx.Request(
            options.method, url, headers=headers, content=content, extensions=extensions
        )
        if options.idempotency_key and self._idempotency_header:
            request.headers.setdefault(self._idempotency_header, options.idempotency_key)
        return request

    return short


def _sameness(client: Any, options: Any) -> tuple[Any, ...] | None:
    """What two chats have in common that differ in nothing but their bodies; None for the rest."""
    if not options.url.endswith(CHATS) or not isinstance(options.timeout, float | int):
        return None
    headers = tuple(options.headers.items()) if options.headers else ()
    if any(name.lower() in _VARYING for name, _ in headers):
        return None
    parameters = tuple(options.params.items())
    key = (options.url, parameters, headers, options.timeout, client.api_key, client.organization)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _sending(send: Any) -> Any:
    """`_send_request` of a client of the SDK."""
    client_class: Any = import_module("httpx").AsyncClient

    async def short(self: Any, request: Any, *, stream: bool, **options: Any) -> Any:
        client = self._client
        chat = request.url.raw_path.partition(b"?")[0].endswith(CHATS.encode())
        if not (chat and isinstance(client, client_class)) or any(client.event_hooks.values()):
            return await send(self, request, stream=stream, **options)
        transport = client._transport_for_url(request.url)
        if not type(transport).__module__.startswith("litellm."):
            return await send(self, request, stream=stream, **options)
        response = await transport.handle_async_request(request)
        response.extensions[_MARK] = True
        if response.has_redirect_location:
            await response.aclose()
            return await send(self, request, stream=stream, **options)
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response

    return short
