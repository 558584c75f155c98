"""ONNX graphs for tests, small enough to be made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copy

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from trunkline.routing.embedding.static import DATA

WIDTH = 8
FACTS = {"id": "tiny-onnx-8", "max_tokens": 64}


def embedder_folder(folder: Path, facts: object = FACTS, seed: int = 0) -> Path:
    """What `minilm-onnx` is built from: one layer of attention, and the tokenizer that ships."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(attention(facts, seed))
    copy(DATA / "tokenizer.json", folder)
    return folder


def attention(facts: object, seed: int) -> bytes:
    """Every token attends to every other; the vector of a text is their mean.

    int64[1, tokens] -> float32[1, WIDTH], for BERT's vocabulary, with random weights.
    """
    table = np.random.default_rng(seed).normal(size=(30522, WIDTH)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["states"]),
        helper.make_node("Transpose", ["states"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["states", "keys"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "states"], ["attended"]),
        helper.make_node("ReduceMean", ["attended", "axis"], ["embedding"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "attention",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, WIDTH])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"embedder": json.dumps(facts)})
    made: bytes = model.SerializeToString(deterministic=True)
    return made
