"""A fine-tuned causal language model that names the model which should answer.

LLMRouter's `CausalLMRouter` lets it write freely after a prompt and looks for a name in what it
wrote. Here it can only write one of the names: at each token where names part, the likeliest that
continues one is taken. Where what it would write freely is a name, that is the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import BundleError
from .head import HeadArgs, Query
from .name_tree import name_tree
from .onnx_session import OnnxNetwork, tokenizer
from .parameters import whole
from .prompt import Prompt

if TYPE_CHECKING:
    from ..bundles.reading import Bundle

MODEL = "model.onnx"
OUTPUT = "logits"


class CausalLMHead:
    """Files: `model.onnx`, from `input_ids` int64[1, tokens] to `logits` float[1, vocabulary] of
    the token after them; `tokenizer.json`.

    Parameters: `prompt`, with {query} in it; `max_tokens` of a prompt and a name together: of a
    longer query the beginning is read.

    The network runs once for each fork on the way to the chosen name, over the whole prompt each
    time: names that differ in their first token cost one run. Keys and values are not kept between
    runs.
    """

    embeds = False
    blocking = True

    def __init__(self, bundle: Bundle, args: HeadArgs) -> None:
        self._prompt = Prompt(
            tokenizer(bundle),
            bundle.manifest.parameters.get("prompt"),
            whole(bundle, "max_tokens", 8, 32768),
            bundle.labels,
        )
        self._tree = name_tree(self._prompt.names)
        self._network = OnnxNetwork(bundle, MODEL, OUTPUT)
        self._labels = len(bundle.labels)
        size = len(self._network(self._prompt.tokens("")))
        highest = max(map(max, self._prompt.names))
        if highest >= size:
            raise BundleError(
                f"{MODEL}: {OUTPUT} has {size} numbers, and a label has the token {highest}"
            )

    def scores(self, query: Query) -> np.ndarray:
        """How many forks a name survived, plus its probability at the one where it fell."""
        prompt = self._prompt.tokens(self._prompt.fitting(query.text))
        scores = np.zeros(self._labels)
        fork, passed = self._tree, 0
        while fork is not None:
            chances = fork.chances(self._network(prompt + fork.tokens))
            for branch, chance in zip(fork.branches, chances, strict=True):
                scores[list(branch.labels)] = passed + chance
            fork = fork.branches[int(np.argmax(chances))].then
            passed += 1
        return scores
