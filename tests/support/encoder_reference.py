"""What LLMRouter itself decides with a model that `mlops.library.encoders` trained.

Runs where LLMRouter is installed. An answer is a model's name and, for causallm, the text in which
LLMRouter found it. That strategy asks vLLM, which needs a GPU: in its place stands one that lets
transformers take the likeliest token each time.
"""

import json
import sys
import types

STOPS_AND_LENGTH = ("stop", "max_tokens")


class SamplingParams:
    def __init__(self, **given):
        assert given["temperature"] == 0.0
        self.stop, self.max_tokens = (given[name] for name in STOPS_AND_LENGTH)


class LLM:
    def __init__(self, model, **_):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(model).float().eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.texts = []

    def generate(self, prompts, params):
        found = [self._text(prompt, params) for prompt in prompts]
        self.texts += found
        text = types.SimpleNamespace
        return [text(outputs=[text(text=each)]) for each in found]

    def _text(self, prompt, params):
        read = self.tokenizer(prompt, return_tensors="pt")
        length = read["input_ids"].shape[1]
        written = self.model.generate(
            **read, do_sample=False, max_new_tokens=params.max_tokens, pad_token_id=0
        )[0, length:]
        text = self.tokenizer.decode(written, skip_special_tokens=True)
        for stop in params.stop:
            text = text.partition(stop)[0]
        return text


def answers(folder, queries):
    """[(model's name, text)] for each query, by the training in a folder."""
    request = json.loads((folder / "request.json").read_text("utf-8"))
    inside = folder / "llmrouter"
    if request["strategy"] == "routerdc":
        from mlops.library.train_routerdc import build

        router = build(inside, request)
    else:
        sys.modules["vllm"] = types.ModuleType("vllm")
        sys.modules["vllm"].LLM, sys.modules["vllm"].SamplingParams = LLM, SamplingParams
        from mlops.library.train_causallm import build

        request["hparam"]["max_new_tokens"] = 5
        router = build(inside, request, request["queries"])
    names = [router.route_single({"query": query})["model_name"] for query in queries]
    texts = router.vllm_model.texts if request["strategy"] == "causallm" else [""] * len(names)
    return list(zip(names, texts, strict=True))
