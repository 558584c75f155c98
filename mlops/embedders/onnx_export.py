"""Exports MiniLM to ONNX, from a text's token ids to its embedding, with int8 weights.

Weights are quantised per output channel: over 200 queries of the routing data the cosine to the
original is .993 on average and .980 at worst, against .957 and .893 with one step per matrix.
They take seven of the eight bits, because sums of 16 bits overflow with eight on processors that
have AVX2 and no VNNI: .001 of cosine is the price.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trunkline.routing.embedding.onnx import FACTS, MODEL, TOKENIZER, OnnxEmbedder
from trunkline.routing.embedding.tokens import WordPieces

from ..errors import MlopsError
from .distill import bare
from .made import Made
from .minilm import Source, source

ID = "minilm-onnx-384"
MAX_TOKENS = 256
"""As sentence-transformers reads with this model."""
OPSET = 18
ENOUGH = 0.97
"""Cosine to the original below which an export is none."""

PROBES = (
    "What is the capital of France?",
    "Prove that the square root of 2 is irrational.",
    "def median(values):\n    # return the middle of the sorted values",
    "A train leaves at 9:40 and arrives at 13:05. How long is the journey?",
    "Übersetze ins Englische: Der Zug hat Verspätung.",
    "ما هي عاصمة مصر؟",
    "Translate to French: the weather is fine today. " * 20,
)


def export(probes: Iterable[str] = PROBES) -> Made:
    """`model.onnx` and `tokenizer.json`. It takes half a minute.

    probes: texts on which the exported model is compared with the original.

    Raises MlopsError where it isn't close to it.
    """
    minilm = source()
    sentence = _sentence(minilm.model())
    with TemporaryDirectory() as name:
        folder = Path(name)
        exact, small = folder / "exact.onnx", folder / "small.onnx"
        _export(sentence, exact)
        _quantise(exact, small)
        files = {MODEL: _described(small), TOKENIZER: bare(minilm.tokenizer_file()).encode()}
        for file, data in files.items():
            (folder / file).write_bytes(data)
        worst = min(_cosines(minilm, sentence, OnnxEmbedder(folder), probes))
    if worst < ENOUGH:
        raise MlopsError(f"a cosine of {worst:.3f} to the original is less than {ENOUGH}")
    return Made(
        "onnx",
        minilm,
        files,
        "the transformer is exported to ONNX with the mean over a text's tokens, and its weights"
        " are stored as int8 with a step for each output channel",
    )


def _sentence(model: Any) -> Any:
    """MiniLM with what sentence-transformers does after it: int64[1, n] -> float32[1, 384].

    One text at a time needs no padding, and so no mask.
    """
    import torch  # noqa: PLC0415

    class Sentence(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            states = self.model(input_ids=input_ids).last_hidden_state
            return torch.nn.functional.normalize(states.mean(dim=1), dim=1)

    return Sentence().eval()


def _export(sentence: Any, path: Path) -> None:
    import torch  # noqa: PLC0415

    example = torch.ones((1, 9), dtype=torch.int64)
    with warnings.catch_warnings():
        # The exporter by tracing is said to be old; the new one needs two packages more.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            sentence,
            (example,),
            str(path),
            input_names=["input_ids"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": {1: "tokens"}},
            opset_version=OPSET,
            dynamo=False,
        )


def _quantise(exact: Path, small: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    quantize_dynamic(exact, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)


def _described(small: Path) -> bytes:
    """The model, which says what it is."""
    import onnx  # noqa: PLC0415

    model = onnx.load(small)
    facts = {"id": ID, "max_tokens": MAX_TOKENS}
    onnx.helper.set_model_props(model, {FACTS: json.dumps(facts, sort_keys=True)})
    return bytes(model.SerializeToString(deterministic=True))


def _cosines(
    minilm: Source, sentence: Any, exported: OnnxEmbedder, probes: Iterable[str]
) -> list[float]:
    import torch  # noqa: PLC0415

    pieces = WordPieces(minilm.tokenizer_file().encode(), MAX_TOKENS - 2)
    start, end = minilm.special("[CLS]"), minilm.special("[SEP]")
    found = []
    with torch.inference_mode():
        for text in probes:
            ids = torch.tensor([[start, *pieces.ids(text).tolist(), end]])
            found.append(float(sentence(ids)[0].numpy() @ exported.embed(text)))
    return found
