"""The kinds of values that settings take, with the conversions that LiteLLM's users rely on.

Numbers and switches may be written as text (`timeout: "30"`), as environment variables are.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from .learned import EMBEDDERS, ROLES
from .strategies import BUILT_IN, LEARNED, canonical

EXPECTED = "expected"
"""Type of the errors raised here; their message is what was expected."""

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def expected(what: str) -> PydanticCustomError:
    return PydanticCustomError(EXPECTED, "{what}", {"what": what})


def _number(what: str, least: float | None = None) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            raise expected(what) from None
        if not math.isfinite(number) or (least is not None and number < least):
            raise expected(what)
        return number

    return convert


def _whole(what: str, least: int | None = 0) -> Callable[[Any], int]:
    number = _number(what, least)

    def convert(value: Any) -> int:
        converted = number(value)
        if not converted.is_integer():
            raise expected(what)
        return int(converted)

    return convert


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise expected("a text")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise expected("a text that isn't empty")
    return value


def _identifier(value: Any) -> str:
    return str(value) if type(value) is int else _name(value)


def _url(value: Any) -> str:
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        try:
            if urlsplit(value).hostname:
                return value
        except ValueError:
            pass
    raise expected("a URL that begins with http:// or https://")


def _flag_or_text(value: Any) -> bool | str:
    if isinstance(value, str) and value.strip().lower() not in _TRUE | _FALSE:
        return value
    return _flag(value)


def _flag_or_authorities(value: Any) -> bool | str:
    flag_or_file = _flag_or_text(value)
    if isinstance(flag_or_file, str):
        with _usable("true, false or a file of certificate authorities"):
            ssl.create_default_context(cafile=flag_or_file)
    return flag_or_file


def _certificate(value: Any) -> str:
    file = _text(value)
    with _usable("a file of a certificate and its private key"):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(file, password="")
    return file


@contextmanager
def _usable(what: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise expected(f"{what}, which this isn't") from None
    except OSError as error:
        raise expected(f"{what} ({error.strerror})") from None


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if isinstance(value, str | int) and word in _TRUE | _FALSE:
        return word in _TRUE
    raise expected("true or false")


def _texts(value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise expected("a list of texts")
    return items


def _patterns(value: Any) -> list[str]:
    patterns = _texts(value)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError):
            raise expected("a list of regular expressions") from None
    return patterns


def _text_or_texts(value: Any) -> str | list[str]:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise expected("a text or a list of texts")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise expected("a mapping")
    return value


def _headers(value: Any) -> dict[str, str]:
    scalars = str | int | float
    if not isinstance(value, dict) or not all(isinstance(v, scalars) for v in value.values()):
        raise expected("a mapping of header names to texts")
    return {name: str(text) for name, text in value.items()}


def _variables(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise expected("a mapping of environment variables to texts")
    for name, text in value.items():
        if not name or "=" in name or "\0" in name:
            raise expected("names without an equals sign")
        if not isinstance(text, str | int | float) or "\0" in str(text):
            raise expected(f"a text or a number for {name}")
    return {name: str(text) for name, text in value.items()}


def _strategy_args(value: Any) -> dict[str, Any]:
    converted = dict(_mapping(value))
    for name, convert in _STRATEGY_ARGS.items():
        if converted.get(name) is not None:
            try:
                converted[name] = convert(converted[name])
            except PydanticCustomError as error:
                raise expected(f"{error.message()} for {name}") from None
    return converted


def _strategy(value: Any) -> str:
    name = canonical(value) if isinstance(value, str) else None
    if name is None:
        raise expected(f"one of {', '.join((*BUILT_IN, *LEARNED))}")
    return name


def one_of(*names: str | int) -> PlainValidator:
    """Accepts one of some names or numbers, and lists them when it gets another."""
    return PlainValidator(_one_of(*names))


def _one_of(*names: str | int) -> Callable[[Any], str | int]:
    def convert(value: Any) -> str | int:
        for name in names:
            if type(value) is type(name) and value == name:
                return name
        raise expected(f"one of {', '.join(map(str, names))}")

    return convert


def _above_0(what: str) -> Callable[[Any], float]:
    number = _number(what, 0)

    def convert(value: Any) -> float:
        converted = number(value)
        if converted == 0:
            raise expected(what)
        return converted

    return convert


seconds = _number("a number of seconds", 0)
count = _whole("a whole number that isn't negative")

_whole_above_0 = _whole("a whole number above 0", 1)
_share = _number("a number that isn't negative", 0)
_STRATEGY_ARGS: dict[str, Callable[[Any], Any]] = {
    "ttl": _number("a number of seconds", 0),
    "lowest_latency_buffer": _number("a number that isn't negative", 0),
    "max_latency_list_size": _whole_above_0,
    "ttft_percentile": _share,
    **dict.fromkeys(
        "model_path llm_data_path model_s3_bucket model_s3_key embedder_path".split(), _name
    ),
    **dict.fromkeys(("virtual_model", *ROLES), _name),
    "embedder": _one_of(*EMBEDDERS),
    "hot_reload": _flag,
    "reload_interval": _above_0("a number of seconds above 0"),
    "timeout_ms": _above_0("a number of milliseconds above 0"),
    "cost_weight": _share,
    "threshold": _number("a number", None),
    **dict.fromkeys("samples max_parts max_rounds max_calls max_tokens".split(), _whole_above_0),
    "max_seconds": _above_0("a number of seconds above 0"),
}

_DURATION = re.compile(r"[1-9][0-9]{0,8}(mo|[smhdw])", re.ASCII)
_PERIODS = frozenset({"", "hourly", "daily", "weekly", "monthly"})


def _duration(value: Any) -> str:
    """As `access.periods` reads it; empty for none."""
    text = value.strip().lower() if isinstance(value, str) else None
    if text is None or not (text in _PERIODS or _DURATION.fullmatch(text)):
        raise expected("a duration such as 30s, 30m, 12h, 30d, 1w or 1mo")
    return text


Text = Annotated[str, PlainValidator(_text)]
Duration = Annotated[str, PlainValidator(_duration)]
Name = Annotated[str, PlainValidator(_name)]
Identifier = Annotated[str, PlainValidator(_identifier)]
Url = Annotated[str, PlainValidator(_url)]
FlagOrAuthorities = Annotated[bool | str, PlainValidator(_flag_or_authorities)]
CertificateFile = Annotated[str, PlainValidator(_certificate)]
Flag = Annotated[bool, PlainValidator(_flag)]
Number = Annotated[float, PlainValidator(_number("a number"))]
Seconds = Annotated[float, PlainValidator(seconds)]
Dollars = Annotated[float, PlainValidator(_number("a number of dollars", 0))]
Amount = Annotated[float, PlainValidator(_number("a number that isn't negative", 0))]
Whole = Annotated[int, PlainValidator(_whole("a whole number", None))]
Count = Annotated[int, PlainValidator(count)]
Patterns = Annotated[list[str], PlainValidator(_patterns)]
Order = Annotated[int, PlainValidator(_whole_above_0)]
Texts = Annotated[list[str], PlainValidator(_texts)]
TextOrTexts = Annotated[str | list[str], PlainValidator(_text_or_texts)]
Mapping = Annotated[dict[str, Any], PlainValidator(_mapping)]
Variables = Annotated[dict[str, str], PlainValidator(_variables)]
Strategy = Annotated[str, PlainValidator(_strategy)]
StrategyArgs = Annotated[dict[str, Any], PlainValidator(_strategy_args)]
Headers = Annotated[dict[str, str], PlainValidator(_headers)]
