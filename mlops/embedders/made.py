"""An embedder's files with the papers that go with them: where they come from, and the licence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.routing.embedding.static import DATA

from .minilm import MODEL, PACKAGE, Source

LICENSE, PROVENANCE = "LICENSE", "PROVENANCE.md"

_LICENSED = "table.safetensors and tokenizer.json"
"""What the licence that ships with the static table begins with."""

_TOLD = """\
# An embedder

| file | SHA-256 |
|---|---|
{files}

- **From:** [{model}](https://huggingface.co/{model}), Apache-2.0, as the Python package \
`{package}` ships it. Its `{weights}` has the SHA-256 \
`{weights_sha256}`, its `tokenizer.json` `{tokenizer_sha256}`.
- **By:** `trunkline-mlops embedder {kind}`. The same weights give the same bytes.
- **What was changed:** {changed}; from the tokenizer, special tokens, padding and truncation are \
taken out.
- **Licence:** [LICENSE](LICENSE).
"""


@dataclass(frozen=True, slots=True)
class Made:
    """kind: of embedder, as the command names it. files: by name. changed: what was made of MiniLM.

    source: what they were made of.
    """

    kind: str
    source: Source
    files: Mapping[str, bytes]
    changed: str

    def with_papers(self) -> dict[str, bytes]:
        """The files, what says where they come from, and the licence, which has to go with them."""
        licence = (DATA / LICENSE).read_text("utf-8")
        told = _TOLD.format(
            files="\n".join(f"| `{name}` | `{_sha256(self.files[name])}` |" for name in self.files),
            model=MODEL,
            package=PACKAGE.replace("_", "-"),
            weights=self.source.weights.name,
            weights_sha256=_sha256(self.source.weights.read_bytes()),
            tokenizer_sha256=_sha256(self.source.tokenizer_file().encode()),
            kind=self.kind,
            changed=self.changed,
        )
        return {
            **self.files,
            PROVENANCE: told.encode(),
            LICENSE: licence.replace(_LICENSED, " and ".join(self.files), 1).encode(),
        }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
