"""`prepare`: routing data of any kind to a folder that training and evaluation read.

dataset.json            what it is: models and prices, counts, digests, embedder, split
train.jsonl test.jsonl  the rows in LLMRouter's format, each example's models in the order
                        that decides ties, so that LLMRouter's own rule takes the first
embeddings.safetensors  `embeddings` float32[examples, dimension], by `embedding_id`
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from . import examples as build
from .embedding import embedded, serving_embedder, used
from .errors import MlopsError
from .examples import Example
from .files import created, replace_folder
from .load import DESCRIPTION, EMBEDDINGS, SPLITS, candidates, count
from .reading import read_rows


def run(options: argparse.Namespace) -> int:
    described = candidates(options.llm_data)
    models = list(described) or None
    rows = read_rows(options.data, models)
    given = read_rows(options.test, models) if options.test else []
    parts, leaked = _parts(build.merged(rows), build.merged(given), options)
    labels = build.labels(parts[0], described, options.ties)
    names = [label.name for label in labels]
    _check(parts[1], names)

    made = serving_embedder(options.embedder, options.embedder_path)
    vectors = embedded([example.first for part in parts for example in part], made)
    starts = (0, len(parts[0]))
    texts = [
        build.json_lines(part, names, start) for part, start in zip(parts, starts, strict=True)
    ]
    description = {
        "created": created([*options.data, *(options.test or [])]),
        "labels": [label.model_dump(exclude_none=True) for label in labels],
        "features": [described[name].feature if name in described else "" for name in names],
        "ties": options.ties,
        "embedder": used(made).model_dump(),
        "seed": options.seed,
        "test_share": None if options.test else options.test_share,
        "repeated_rows": len(rows) + len(given) - leaked - count(parts[0]) - count(parts[1]),
        "leaked_rows": leaked,
        "splits": {
            split: _split(part, text, start)
            for split, part, text, start in zip(SPLITS, parts, texts, starts, strict=True)
        },
    }
    files = {
        DESCRIPTION: json.dumps(description, indent=2, ensure_ascii=False).encode() + b"\n",
        **{f"{split}.jsonl": text for split, text in zip(SPLITS, texts, strict=True)},
        EMBEDDINGS: save({"embeddings": np.ascontiguousarray(vectors)}),
    }
    replace_folder(files, options.output, marker=DESCRIPTION)
    print(_told(options.output, description))
    return 0


def _parts(
    found: list[Example], given: list[Example], options: argparse.Namespace
) -> tuple[tuple[list[Example], list[Example]], int]:
    """Training and test examples, and how many rows were left out because the test has them."""
    if not given:
        parts = build.split(found, options.test_share, options.seed)
        leaked = 0
    else:
        parts = (build.without_leaks(found, given), given)
        leaked = _rows(found) - _rows(parts[0])
    if not parts[0]:
        raise MlopsError(f"no queries are left to train on, of {len(found)}")
    return parts, leaked


def _rows(found: Sequence[Example]) -> int:
    return sum(len(rows) for example in found for rows in example.answers.values())


def _check(test: Sequence[Example], names: Sequence[str]) -> None:
    strange = {name for example in test for name in example.answers} - set(names)
    if strange:
        raise MlopsError(f"only the test has answers of {', '.join(sorted(strange))}")


def _split(part: Sequence[Example], text: bytes, start: int) -> dict[str, Any]:
    return {
        "queries": len(part),
        "rows": count(part),
        "sha256": hashlib.sha256(text).hexdigest(),
        "first_embedding": start,
    }


def _told(output: Path, description: dict[str, Any]) -> str:
    splits = description["splits"]
    told = ", ".join(
        f"{splits[name]['queries']} queries and {splits[name]['rows']} rows to {name}"
        for name in SPLITS
    )
    lines = [f"{output}: {len(description['labels'])} models; {told}"]
    if description["repeated_rows"]:
        lines.append(f"{description['repeated_rows']} rows repeat others: their mean counts")
    if description["leaked_rows"]:
        lines.append(f"{description['leaked_rows']} rows left out of training: the test has them")
    return "\n".join(lines)
