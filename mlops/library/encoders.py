"""The process in which LLMRouter trains routerdc or causallm: `python -m mlops.library.encoders`.

Its one argument is a folder with a request from `mlops/training/encoders.py`. It gets
`result.json`, `tokenizer.json`, and `encoder.onnx` with `models.npy`, or `model.onnx`.
"""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("llmrouter-lib", "onnx", "tokenizers", "torch", "transformers")
INSIDE = "llmrouter"
"""The folder in the request's for the library's own files."""


def main(folder: Path) -> int:
    warnings.simplefilter("ignore")
    result: dict[str, Any] = {"parameters": {}, "libraries": {}, "error": ""}
    try:
        request = json.loads((folder / "request.json").read_text("utf-8"))
        (folder / INSIDE).mkdir(exist_ok=True)
        result["parameters"] = _trained(folder, request)
        result["libraries"] = {name: version(name) for name in PACKAGES}
    except Exception as error:  # noqa: BLE001 - whatever the library raises is told to the user
        traceback.print_exc()
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        result["error"] = f"{kind}{error}".strip().splitlines()[0]
    (folder / "result.json").write_text(json.dumps(result), "utf-8")
    return 0


def _trained(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    import torch  # noqa: PLC0415 - takes seconds

    from .routers import seed  # noqa: PLC0415

    # Sums come out the same only when they are made in the same order.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    seed(request["seed"])
    if request["strategy"] == "routerdc":
        from .train_routerdc import train  # noqa: PLC0415
    else:
        from .train_causallm import train  # noqa: PLC0415
    return train(folder, folder.absolute() / INSIDE, request)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
