"""How long LLMRouter's own `route_single` takes, with the embedding given.

`python -m bench.library DATA OUTPUT`, in the environment of mlops. DATA is a prepared folder;
OUTPUT gets microseconds by strategy as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from mlops.load import Reading, load
from mlops.training import library
from mlops.training.trainer import Job

STRATEGIES = ("knn", "svm", "mlp", "mf", "elo", "hybrid")
QUERIES = 200


def main(data: Path, output: Path) -> None:
    how = Reading(None, "static", None)
    train, test = load(data, "train", how), load(data, "test", how)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        folders = [root / name for name in STRATEGIES]
        for folder in folders:
            strategy = f"llmrouter-{folder.name}"
            library.prepare(train, Job({}, 0, folder), strategy).write(folder)
        library.run(["train", "--keep", *map(str, folders)])
        queries = root / "queries.npz"
        embeddings = test.embeddings[:QUERIES]
        np.savez(queries, embeddings=embeddings, users=np.array([""] * len(embeddings)))
        library.run(["decide", str(queries), *map(str, folders)])
        for name, answer in json.loads((root / "decisions.json").read_text()).items():
            found[f"llmrouter-{name}"] = median(answer["seconds"]) * 1e6
    output.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
