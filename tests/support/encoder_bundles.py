"""Makes tiny models, trains routerdc and causallm with them, and asks LLMRouter what it decides.

    python -m tests.support.encoder_bundles FOLDER

Runs where LLMRouter is installed. FOLDER gets a bundle for each strategy (`routerdc`, `causallm`),
and `answers.json`: for each the queries, the models that were best, and LLMRouter's answers.
"""

import itertools
import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from mlops.dataset import Dataset
from mlops.library.onnx_export import export
from mlops.training.trainer import Job, trainer
from tests.support import tiny_models
from tests.support.encoder_reference import answers
from trunkline.routing.bundles.manifest import EmbedderUsed, Label, Training
from trunkline.routing.bundles.writing import bundle_files, write_folder

# One name begins another, which LLMRouter, looking for names in a text, can't tell apart.
SUBJECTS = {
    "maple": ("integrals", "matrices", "primes", "vectors", "limits"),
    "cedar": ("python", "loops", "classes", "threads", "parsers"),
    "cedar-large": ("poems", "rhymes", "novels", "ballads", "sonnets"),
    "willow": ("visas", "hotels", "flights", "trains", "ferries"),
}
OPENINGS = ("please", "now", "kindly", "hey", "well", "so", "hello", "friend")
VERBS = ("explain", "describe", "discuss", "summarise", "compare", "list", "review", "teach")
TRAINED, HELD_OUT = 400, 500
CONFIGS = {
    "routerdc": {
        "training_steps": 120,
        "eval_steps": 40,
        "batch_size": 32,
        "learning_rate": 3e-3,
        "max_tokens": 32,
    },
    "causallm": {
        "num_epochs": 9,
        "batch_size": 16,
        "gradient_accumulation_steps": 1,
        "learning_rate": 5e-3,
        "max_tokens": 80,
        "use_lora": False,
    },
}


def examples() -> list[tuple[str, int]]:
    """Queries, each with the number of the model that answers it best."""
    found = [
        (f"{opening} {verb} {subject}", best)
        for best, subjects in enumerate(SUBJECTS.values())
        for opening, verb, subject in itertools.product(OPENINGS, VERBS, subjects)
    ]
    random.Random(5).shuffle(found)
    return found[: TRAINED + HELD_OUT]


def dataset(found: list[tuple[str, int]]) -> Dataset:
    queries, best = zip(*found, strict=True)
    count = len(queries)
    performance = np.eye(len(SUBJECTS), dtype=np.float32)[list(best)]
    return Dataset(
        labels=tuple(Label(name=name) for name in SUBJECTS),
        features=("",) * len(SUBJECTS),
        queries=queries,
        tasks=("",) * count,
        users=("",) * count,
        performance=performance,
        tokens=np.full_like(performance, np.nan),
        embeddings=np.zeros((count, 4), dtype=np.float32),
        embedder=EmbedderUsed(id="none", sha256="0" * 64, max_tokens=64, dimension=4),
        training=Training(sha256="0" * 64, queries=count, rows=performance.size),
        created="2026-01-01",
    )


def _prompt(names: list[str]) -> str:
    """LLMRouter's, for an empty query, so that a tokenizer knows its words."""
    from llmrouter.models.causallm_router import CausalLMRouter

    return CausalLMRouter._build_prompt(SimpleNamespace(model_names=names), "")


def main(folder: Path) -> None:
    found = examples()
    learnt, held_out = dataset(found[:TRAINED]), found[TRAINED:]
    torch.manual_seed(0)
    texts = [query for query, _ in found]
    prompts = [f"{_prompt(list(SUBJECTS))} {name}" for name in SUBJECTS]
    bases = {
        "routerdc": tiny_models.encoder(folder / "encoder", texts),
        "causallm": tiny_models.causal_lm(folder / "causal_lm", texts + prompts * 50),
    }
    told = {}
    for strategy, base in bases.items():
        job = Job(CONFIGS[strategy] | {"base_model": str(base)}, 7, folder / f"{strategy}-job")
        trained = trainer(f"llmrouter-{strategy}")(learnt, job)
        files = bundle_files(
            strategy=f"llmrouter-{strategy}",
            labels=learnt.labels,
            tensors=trained.tensors,
            training=learnt.training,
            created=learnt.created,
            parameters=trained.parameters,
            libraries=trained.libraries,
            others=trained.others,
        )
        write_folder(files, folder / strategy)
        queries = [query for query, _ in held_out]
        told[strategy] = {
            "queries": queries,
            "best": [list(SUBJECTS)[best] for _, best in held_out],
            "answers": answers(job.folder, queries),
        }
    (folder / "answers.json").write_text(json.dumps(told), "utf-8")
    broken(folder)


class Constant(torch.nn.Module):
    """The same numbers for every text."""

    def __init__(self, width: int, value: float) -> None:
        super().__init__()
        self.numbers = torch.nn.Parameter(torch.full((1, width), value))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.numbers + 0.0 * input_ids.sum()


class Masked(Constant):
    def forward(self, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.numbers + 0.0 * (input_ids * mask).sum()


def broken(folder: Path) -> None:
    """Networks that don't fit routerdc's bundle."""
    export(Constant(32, float("nan")), "vector", folder / "nan.onnx")
    export(Constant(7, 1.0), "vector", folder / "narrow.onnx")
    export(Constant(32, 1.0), "logits", folder / "logits.onnx")
    ids = torch.ones((1, 9), dtype=torch.int64)
    names = {"output_names": ["vector"], "dynamo": False}
    fixed, masked = str(folder / "fixed.onnx"), str(folder / "mask.onnx")
    torch.onnx.export(Constant(32, 1.0), (ids,), fixed, input_names=["input_ids"], **names)
    both = ["input_ids", "mask"]
    torch.onnx.export(Masked(32, 1.0), (ids, ids), masked, input_names=both, **names)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
