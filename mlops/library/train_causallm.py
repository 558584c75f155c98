"""Fine-tunes a causal language model with LLMRouter's `CausalLMTrainer`.

Put right before the library sees it: each query is cut so that its prompt and the answer fit, since
the library cuts what is too long at the end, where the answer stands; and each answer ends with the
newline at which the library stops reading, since a model that never saw a name end can't tell a
name from a longer one that begins with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from llmrouter.models.causallm_router import CausalLMRouter, CausalLMTrainer
from llmrouter.models.causallm_router import trainer as library
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments

from trunkline.routing.heads.prompt import PLACEHOLDER, Prompt

from .onnx_export import NextToken, export, save_tokenizer
from .routers import seed

END = "\n"
END_TOKENS = 2


def train(folder: Path, inside: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Returns the head's parameters."""
    template, cut = _prompt(inside, request)
    router = build(inside, request, [cut.fitting(query) for query in request["queries"]])
    written = router._build_training_prompt
    router._build_training_prompt = lambda query, answer: written(query, answer) + END
    library.TrainingArguments = _arguments(request["seed"])
    seed(request["seed"])
    trainer = CausalLMTrainer(router, device="cpu")
    trainer.train()
    saved = inside / "model"
    merged = saved / "merged"
    model = AutoModelForCausalLM.from_pretrained(
        merged if merged.exists() else saved, attn_implementation="eager"
    ).float()
    export(NextToken(model), "logits", folder / "model.onnx")
    save_tokenizer(trainer.tokenizer, folder / "tokenizer.json")
    return {"prompt": template, "max_tokens": request["hparam"]["max_tokens"]}


def build(inside: Path, request: dict[str, Any], queries: list[str]) -> CausalLMRouter:
    """The library's router with its data. Every label has a row, in their order."""
    with (inside / "train.jsonl").open("w", encoding="utf-8") as file:
        for query, answer in zip(queries, request["answers"], strict=True):
            for number, name in enumerate(request["labels"]):
                right = float(number == answer)
                row = {"query": query, "model_name": name, "performance": right}
                file.write(json.dumps(row) + "\n")
    hparam = request["hparam"] | {
        "base_model": request["base_model"],
        "max_length": request["hparam"]["max_tokens"],
        "save_steps": 1_000_000_000,
        "temperature": 0.0,
    }
    model = str(inside / "model")
    described = {
        "data_path": {"routing_data_train": str(inside / "train.jsonl")},
        "model_path": {"save_model_path": model, "load_model_path": model},
        "hparam": hparam,
    }
    path = inside / "router.yaml"
    path.write_text(yaml.safe_dump(described), "utf-8")
    return CausalLMRouter(str(path))


def _prompt(inside: Path, request: dict[str, Any]) -> tuple[str, Prompt]:
    """The library's prompt with a place for the query."""
    template = build(inside, request, request["queries"])._build_prompt(PLACEHOLDER)
    tokenizer = AutoTokenizer.from_pretrained(request["base_model"])
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ValueError("base_model: its tokenizer has no tokenizer.json")
    config = json.loads((Path(request["base_model"]) / "config.json").read_text("utf-8"))
    limit, wanted = config.get("max_position_embeddings", 0), request["hparam"]["max_tokens"]
    if 0 < limit < wanted:
        raise ValueError(f"max_tokens must be at most {limit}, as many as base_model reads")
    backend = tokenizer.backend_tokenizer
    return template, Prompt(backend, template, wanted - END_TOKENS, request["labels"])


def _arguments(seed: int) -> Any:
    """`TrainingArguments` of any transformers 5, which takes a ratio as `warmup_steps`."""

    def made(**arguments: Any) -> TrainingArguments:
        arguments["warmup_steps"] = arguments.pop("warmup_ratio", 0.0)
        return TrainingArguments(**arguments, seed=seed, data_seed=seed, use_cpu=True)

    return made
