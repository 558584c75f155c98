"""What is unusual in a chat's messages and tools, as far as some provider's LiteLLM converts it.

developer          a message of that role
system             a message of that role
parts              a content that is an array
assistant_parts    such a content in a message of the assistant
tool_parts         such a content in a tool's result
image_address      an image given as a plain address, not as an object
cache_control      a mark where the provider's cache may end
empty              a content that is an empty string
name, refusal, reasoning_content: a message with that field
strict_tools       a tool with a strict schema, or one that closes objects
custom_tools       a tool that is no function
no_tools           an empty array of tools
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_MESSAGE_FIELDS = ("cache_control", "name", "refusal", "reasoning_content")


def traits(body: Mapping[str, Any]) -> set[str]:
    """The traits of a request."""
    found: set[str] = set()
    messages = body.get("messages")
    if isinstance(messages, list):
        _of_messages(messages, found)
    tools = body.get("tools")
    if isinstance(tools, list):
        _of_tools(tools, found)
    given = body.get("input")
    if isinstance(given, list):
        _of_input(given, found)
    config = body.get("generationConfig")
    if isinstance(config, dict) and "responseSchema" in config:
        found.add("response_schema")
    return found


def _of_messages(messages: list[Any], found: set[str]) -> None:
    # On the way of every chat: what is looked at for each message is little.
    for message in messages:
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        if role in ("developer", "system"):
            found.add(role)
        if len(message) > 2:
            found.update(name for name in _MESSAGE_FIELDS if message.get(name) is not None)
        content = message.get("content")
        if isinstance(content, list):
            found.add("parts")
            found.add(f"{role}_parts")
            _of_parts(content, found)
        elif content == "":
            found.add("empty")


def _of_parts(parts: Iterable[Any], found: set[str]) -> None:
    for part in parts:
        if isinstance(part, dict):
            kind = part.get("type")
            if kind == "text":
                if part.get("text") == "":
                    found.add("empty_part")
            elif isinstance(kind, str) and kind.endswith("_tool_result"):
                found.add("server_results")
            if "cache_control" in part:
                found.add("cache_control")
            if isinstance(part.get("image_url"), str):
                found.add("image_address")


def _of_tools(tools: list[Any], found: set[str]) -> None:
    if not tools:
        found.add("no_tools")
    for tool in tools:
        if not isinstance(tool, dict) or tool.get("type") != "function":
            found.add("custom_tools")
            if isinstance(tool, dict) and str(tool.get("type")).startswith("tool_search"):
                found.add("tool_search")
            continue
        if "cache_control" in tool:
            found.add("cache_control")
        if _is_strict(tool.get("function")):
            found.add("strict_tools")


def _of_input(items: Iterable[Any], found: set[str]) -> None:
    if any(isinstance(item, dict) and "status" in item for item in items):
        found.add("item_status")


def _is_strict(function: Any) -> bool:
    waiting = [function]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "strict" in value or "additionalProperties" in value:
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False
