"""What `manifest.json` holds, checked field by field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ... import json_text
from ...errors import BundleError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
WEIGHTS = "weights.safetensors"
FORMAT = 1

MOST_LABELS = 1000
MOST_FILES = 64
LARGEST_MANIFEST = 8 * 1024 * 1024
"""Bytes. Larger ones are refused before they are parsed."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


class Label(Part):
    """A model that the bundle can name.

    input_price, output_price: dollars per million tokens, as they were when it was trained.
    output_tokens: tokens of its answers, on average over the training data.
    size: as LLMRouter's candidates file writes it ("7B").
    """

    name: Name
    input_price: Price | None = None
    output_price: Price | None = None
    output_tokens: Price | None = None
    size: str | None = None


class EmbedderUsed(Part):
    """The embedder that the weights were trained with; no other can stand in for it.

    sha256: of its files. max_tokens: where it cuts texts off. dimension: of its vectors.
    """

    id: Name
    sha256: Sha256
    max_tokens: Annotated[int, Field(gt=0)]
    dimension: Annotated[int, Field(gt=0)]


class Training(Part):
    """The data that it was trained on. sha256: of the prepared rows."""

    sha256: Sha256
    queries: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)]


class FileEntry(Part):
    """size: bytes."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class Manifest(Part):
    """The whole manifest.

    strategy: the name that `router_settings.routing_strategy` selects it by.
    version: told in `x-trunkline-bundle`, logs and status.
    created: ISO 8601 day or time, UTC.
    labels: in the order of the weights' label axis.
    parameters: the strategy's own numbers and switches.
    libraries: versions of what it was trained with, by package name.
    evaluation: the report of `mlops evaluate`.
    files: every file but the manifest and its signature, by name.
    """

    format_version: Literal[1]
    strategy: Name
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:+-]{1,128}$")]
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?$")]
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=MOST_LABELS, strict=False)]
    embedder: EmbedderUsed | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    libraries: Mapping[str, str] = Field(default_factory=dict)
    training: Training
    evaluation: Mapping[str, Any] = Field(default_factory=dict)
    files: Annotated[Mapping[str, FileEntry], Field(max_length=MOST_FILES)]

    @field_validator("labels")
    @classmethod
    def _each_once(cls, labels: tuple[Label, ...]) -> tuple[Label, ...]:
        twice = [name for name, n in Counter(each.name for each in labels).items() if n > 1]
        if twice:
            raise ValueError(f"the label {twice[0]!r} stands there twice")
        return labels

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: Mapping[str, FileEntry]) -> Mapping[str, FileEntry]:
        for name in files:
            if not _FILE_NAME.fullmatch(name) or name in {MANIFEST, SIGNATURE}:
                raise ValueError(f"{name!r} can't be the name of a file in a bundle")
        if WEIGHTS not in files:
            raise ValueError(f"{WEIGHTS} is missing")
        return files

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names, in their order."""
        return tuple(label.name for label in self.labels)


def parse(text: bytes) -> Manifest:
    """The manifest that the bytes of `manifest.json` are. Raises BundleError."""
    if len(text) > LARGEST_MANIFEST:
        raise BundleError(f"{MANIFEST}: {len(text)} bytes, more than {LARGEST_MANIFEST}")
    try:
        found = json_text.loads(text)
    except ValueError as error:
        raise BundleError(f"{MANIFEST} is not JSON: {error}") from None
    if isinstance(found, dict) and found.get("format_version", FORMAT) != FORMAT:
        version = found["format_version"]
        raise BundleError(
            f"{MANIFEST}: format_version: this program reads format {FORMAT}, not {version!r}"
        )
    try:
        return Manifest.model_validate(found)
    except ValidationError as error:
        raise BundleError(f"{MANIFEST}: {_told(error)}") from None


def _told(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)
    shown = [f"{'.'.join(map(str, fault['loc'])) or 'all'}: {fault['msg']}" for fault in faults[:5]]
    more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
    return "; ".join(shown) + more
