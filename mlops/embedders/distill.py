"""Distils MiniLM into the static table that ships with the gateway.

    rows    each wordpiece alone through MiniLM, "[CLS] piece [SEP]", its own hidden state
    centre  minus the mean, over the pieces as often as they occur
    reduce  the first 256 principal components, again as often as pieces occur
    whiten  halfway: each component divided by the square root of its standard deviation
    weight  smooth inverse frequency, a / (a + p): Arora, Liang, Ma, "A Simple but Tough-to-Beat
            Baseline for Sentence Embeddings", 2017
    store   int8 with a step for each row

No text and no routing data goes in. How often pieces occur follows from Zipf's law and BERT's
vocabulary, which is in the order of frequency. The numbers were chosen by cross-validation on
routing data; `trunkline/routing/embedding/data/PROVENANCE.md` has the comparison.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from safetensors.numpy import save

from trunkline.routing.embedding.static import FACTS, TABLE, TOKENIZER

from .made import Made
from .minilm import MODEL, Source, source

ID = "static-minilm-256"
DIMENSION = 256
MAX_TOKENS = 256
SMOOTHING = 1e-2
WHITENING = 0.5

BATCH = 512

FIRST_PIECE = 999
"""Before it are [unused] rows and special tokens; from it single characters, punctuation first."""
FIRST_WORD = 1996
PUNCTUATION = 32
RANK_OF_PUNCTUATION, RANK_OF_CHARACTER = 10, 300
"""About as frequent as the words of these ranks."""


def distill() -> Made:
    """`table.safetensors` and `tokenizer.json`.

    The same weights give the same bytes: the arithmetic is in float64, so that what differs between
    machines is far below a step of int8. It takes a minute or two, and 1 GB. Raises MlopsError.
    """
    minilm = source()
    tokenizer = minilm.tokenizer_file()
    frequency = frequencies(tokenizer)
    rows, scales = quantised(reduced(hidden_states(minilm), frequency), weights(frequency))
    facts = {
        "id": ID,
        "max_tokens": MAX_TOKENS,
        "source": MODEL,
        "source_sha256": hashlib.sha256(minilm.weights.read_bytes()).hexdigest(),
    }
    table = save({"rows": rows, "scales": scales}, {FACTS: json.dumps(facts, sort_keys=True)})
    return Made(
        "static",
        minilm,
        {TABLE: table, TOKENIZER: bare(tokenizer).encode()},
        f"the transformer is reduced to one vector of {rows.shape[1]} numbers for each of its"
        f" {len(rows):,} wordpieces, stored as int8",
    )


def hidden_states(minilm: Source) -> np.ndarray:
    """float64[V, 384]: the last hidden state of each wordpiece, between [CLS] and [SEP]."""
    import torch  # noqa: PLC0415 - the rest can be read without it

    model = minilm.model().double()
    start, end = minilm.special("[CLS]"), minilm.special("[SEP]")
    states = []
    with torch.inference_mode():
        for pieces in torch.arange(model.config.vocab_size).split(BATCH):
            marks = torch.full_like(pieces, start), torch.full_like(pieces, end)
            ids = torch.stack((marks[0], pieces, marks[1]), dim=1)
            states.append(model(input_ids=ids).last_hidden_state[:, 1])
    return torch.cat(states).numpy()


def frequencies(tokenizer: str) -> np.ndarray:
    """float64[V]: how often each piece occurs, summing to 1; 0 for what no text has."""
    loaded = json.loads(tokenizer)
    ids = np.arange(len(loaded["model"]["vocab"]))
    ranks = np.where(ids < FIRST_WORD, RANK_OF_CHARACTER, ids - FIRST_WORD + 1.0)
    ranks[FIRST_PIECE : FIRST_PIECE + PUNCTUATION] = RANK_OF_PUNCTUATION
    found = 1 / ranks
    found[:FIRST_PIECE] = 0
    return found / found.sum()


def reduced(states: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """float64[V, DIMENSION]: centred, projected on the principal components, half whitened."""
    centred = states - frequency @ states
    variances, components = np.linalg.eigh((centred * frequency[:, None]).T @ centred)
    variances, components = variances[::-1][:DIMENSION], components[:, ::-1][:, :DIMENSION]
    # The sign of a component is the library's whim; this one is not.
    largest = components[np.abs(components).argmax(axis=0), np.arange(DIMENSION)]
    return centred @ (components * np.sign(largest)) / variances ** (WHITENING / 2)


def weights(frequency: np.ndarray) -> np.ndarray:
    """float64[V]: small for frequent pieces, 0 for those that no text has."""
    return np.where(frequency > 0, SMOOTHING / (SMOOTHING + frequency), 0)


def quantised(vectors: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8[V, d], and float32[V] by which a row's integers are multiplied."""
    steps = np.abs(vectors).max(axis=1) / 127
    rows = np.round(vectors / steps[:, None])
    return rows.astype(np.int8), (steps * weight).astype(np.float32)


def bare(tokenizer: str) -> str:
    """A `tokenizer.json` without what is only for transformers: padding, special tokens."""
    loaded = json.loads(tokenizer)
    dropped = {"truncation": None, "padding": None, "post_processor": None, "added_tokens": []}
    return json.dumps(loaded | dropped, ensure_ascii=False, separators=(",", ":")) + "\n"
