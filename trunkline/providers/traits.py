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
_ROLES = frozenset({"developer", "system"})


def traits(body: Mapping[str, Any]) -> set[str]:
    """The traits of a chat's request."""
    found: set[str] = set()
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            _of_message(message, found)
    tools = body.get("tools")
    if isinstance(tools, list):
        _of_tools(tools, found)
    given = body.get("input")
    for item in given if isinstance(given, list) else ():
        if isinstance(item, dict) and "status" in item:
            found.add("item_status")
    config = body.get("generationConfig")
    if isinstance(config, dict) and "responseSchema" in config:
        found.add("response_schema")
    return found


def _of_message(message: dict[str, Any], found: set[str]) -> None:
    role, content = message.get("role"), message.get("content")
    if role in _ROLES:
        found.add(role)
    if len(message) > 2:
        found.update(name for name in _MESSAGE_FIELDS if message.get(name) is not None)
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
