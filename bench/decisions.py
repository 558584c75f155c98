"""How long decisions take inside the gateway, and what memory a loaded bundle adds.

`python -m bench.decisions QUERIES BUNDLE EARLIER` prints JSON; QUERIES and EARLIER are JSONL with a
`query` a line. Timed is what the gateway runs for a call: tokenise, embed, score, rank. The memory
of earlier embeddings is left out, so that every query is new to it; but it has seen the EARLIER
queries, as one has that serves.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from statistics import median, quantiles
from typing import Any

TOKENS = 60
ROUNDS = 8
MEMORY = "/proc/self/smaps_rollup"
MIB = 1024


def main(queries: Path, path: Path, earlier: Path) -> dict[str, Any]:
    from tokenizers import Tokenizer

    from trunkline.routing.bundles.reading import read_bundle
    from trunkline.routing.embedding.known import embedder
    from trunkline.routing.embedding.static import DATA
    from trunkline.routing.heads.head import HeadArgs
    from trunkline.routing.heads.table import HEADS, head

    static = embedder("static", None)
    tokenizer = Tokenizer.from_file(str(DATA / "tokenizer.json"))
    texts = [cut for text in _texts(queries) if (cut := _cut(tokenizer, text))]
    static.embed(texts[0])
    import_module("trunkline.routing.learned")
    for place in HEADS.values():
        with suppress(ModuleNotFoundError):
            import_module(f"trunkline.routing.heads.{place.partition(':')[0]}")
    before = _private_mib()
    bundle = read_bundle(path)
    built = head(bundle, HeadArgs())
    labels = bundle.labels
    del bundle
    _scored(built, static, texts[0], labels)
    added = _private_mib() - before
    for text in _texts(earlier):
        _scored(built, static, text, labels)
    times = [_scored(built, static, text, labels) for _ in range(ROUNDS) for text in texts]
    cuts = quantiles(times, n=100, method="inclusive")
    given = [(text, static.embed(text) if built.embeds else None) for text in texts]
    heads = [_timed(built, *each, labels) for _ in range(ROUNDS) for each in given]
    return {
        "queries": len(texts),
        "head_p50_us": median(heads) * 1e6,
        "p50_us": cuts[49] * 1e6,
        "p99_us": cuts[98] * 1e6,
        "added_mib": added,
    }


def _texts(path: Path) -> Iterator[str]:
    """Each query once, in the order of the file."""
    seen: set[str] = set()
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["query"]
            if text not in seen:
                seen.add(text)
                yield text


def _cut(tokenizer: Any, text: str) -> str:
    """The words of a text that make about 60 tokens; empty where there aren't so many."""
    words = text.split()
    while words:
        count = len(tokenizer.encode(" ".join(words), add_special_tokens=False).ids)
        if count <= TOKENS:
            return " ".join(words) if count > TOKENS * 0.8 else ""
        words = words[: min(len(words) - 1, max(1, len(words) * TOKENS // count))]
    return ""


def _scored(built: Any, static: Any, text: str, labels: tuple[str, ...]) -> float:
    """Seconds of one decision."""
    began = time.perf_counter()
    embedding = static.embed(text) if built.embeds else None
    embedded = time.perf_counter()
    return _timed(built, text, embedding, labels) + embedded - began


def _timed(built: Any, text: str, embedding: Any, labels: tuple[str, ...]) -> float:
    """Seconds of one decision whose embedding is given."""
    from trunkline.routing.heads.head import Query
    from trunkline.routing.learned import ranked

    began = time.perf_counter()
    ranked(labels, built.scores(Query(text, embedding)))
    return time.perf_counter() - began


def _private_mib() -> float:
    """Memory that is this process's alone, in MiB, without what its allocator holds in reserve."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path(MEMORY).read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / MIB


if __name__ == "__main__":
    print(json.dumps(main(*map(Path, sys.argv[1:]))))
