"""The process in which LLMRouter searches AutoMix's rules: `python -m mlops.library.train_automix`.

Its one argument is a folder with a request from `mlops/training/automix.py`. The library saves
nothing, and its rules are of several kinds; what each comes to is a table: for 0 to `samples`
approving checks, whether the rule that it found asks the larger model.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

SMALL, LARGE, CONFIDENCE = "slm_f1", "llm_f1", "p_ver_slm"
"""What the library calls its columns."""
ACTIONS = (0, 1)
"""Which of the rules that POMDP tries are tables of actions, and no thresholds."""
PACKAGES = ("llmrouter-lib", "numpy", "pandas", "scipy")


def main(folder: Path) -> int:
    request = json.loads((folder / "request.json").read_text("utf-8"))
    np.random.seed(request["seed"])
    result = {
        "escalates": escalates(request),
        "libraries": {name: version(name) for name in PACKAGES},
    }
    (folder / "result.json").write_text(json.dumps(result), "utf-8")
    return 0


def escalates(request: dict[str, Any]) -> list[bool]:
    """The decisions of the rule that the library found; none where it found no rule."""
    _skip_packages()
    place = "llmrouter.models.automix"
    methods, models, data = (
        import_module(f"{place}.{name}") for name in ("methods", "model", "data_pipeline")
    )
    rows = pd.DataFrame(request["rows"], columns=[SMALL, LARGE, CONFIDENCE])
    model = models.AutomixModel(
        method=getattr(methods, request["routing_method"])(num_bins=request["num_bins"]),
        slm_column=SMALL,
        llm_column=LARGE,
        verifier_column=CONFIDENCE,
        costs=[request["small_model_cost"], request["large_model_cost"]],
        verifier_cost=request["verifier_cost"],
    )
    if model.train_routing(data.categorize_rows(rows)) is None:
        return []
    shares = np.arange(request["samples"] + 1) / request["samples"]
    if request["routing_method"] == "POMDP" and model.best_param[1] in ACTIONS:
        shares = _seen(shares, rows[CONFIDENCE].to_numpy())
    told = pd.DataFrame({CONFIDENCE: shares})
    decided = model.method.run(told, model.best_param, verifier_column=CONFIDENCE)
    return [bool(each) for each in decided]


def _seen(shares: np.ndarray, confidences: np.ndarray) -> np.ndarray:
    """The nearest confidences that the data has, the lower of two.

    The library stays with the small model where it has seen nothing, even if all checks fail.
    """
    known = np.unique(confidences)
    return known[np.abs(shares[:, None] - known).argmin(axis=1)]


def _skip_packages() -> None:
    """Lets AutoMix be imported without the library's other strategies, which its packages import:
    they take half a minute and have no part in it."""
    found = find_spec("llmrouter")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("llmrouter-lib is not installed")
    folder = Path(found.submodule_search_locations[0])
    for name, inside in (("", ""), (".models", "models"), (".models.automix", "models/automix")):
        package = ModuleType(f"llmrouter{name}")
        package.__path__ = [str(folder / inside)]
        sys.modules[package.__name__] = package


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
