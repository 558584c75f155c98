"""The embedders that a configuration can name. None is imported before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .embedder import Embedder, EmbedderError

__all__ = ["EMBEDDERS", "Embedder", "EmbedderError", "embedder"]

STATIC = "static"
MINILM_ONNX = "minilm-onnx"


def embedder(name: str = STATIC, folder: Path | None = None) -> Embedder:
    """Builds an embedder.

    folder: where its files are. `static` ships with its own; `minilm-onnx` needs a folder.

    Raises EmbedderError where the name is unknown, or files or packages are missing.
    """
    build = EMBEDDERS.get(name)
    if build is None:
        raise EmbedderError(f"There is no embedder {name!r}: it is one of {', '.join(EMBEDDERS)}")
    return build(folder)


def _static(folder: Path | None) -> Embedder:
    from .static import DATA, StaticEmbedder  # noqa: PLC0415 - with numpy and tokenizers

    return StaticEmbedder(folder or DATA)


def _minilm_onnx(folder: Path | None) -> Embedder:
    if folder is None:
        raise EmbedderError(f"The embedder {MINILM_ONNX!r} needs `embedder_path`: {_MADE}")
    try:
        from .onnx import OnnxEmbedder  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise EmbedderError(
            f"The embedder {MINILM_ONNX!r} needs onnxruntime: install trunkline[onnx]"
        ) from None
    return OnnxEmbedder(folder)


_MADE = "a folder with model.onnx and tokenizer.json, as `mlops embedder onnx` makes it"

EMBEDDERS: Mapping[str, Callable[[Path | None], Embedder]] = {
    STATIC: _static,
    MINILM_ONNX: _minilm_onnx,
}
"""What builds each embedder from the folder that has its files."""
