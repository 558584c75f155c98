"""routerdc and causallm: trained by LLMRouter, served through onnxruntime, deciding as it does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.gateway import environment
from trunkline.errors import BundleError
from trunkline.routing.bundles.reading import Bundle, read_bundle
from trunkline.routing.heads.head import HeadArgs, Query
from trunkline.routing.heads.table import head
from trunkline.routing.loading import CANARIES

ROOT = Path(__file__).parents[2]
STRATEGIES = ("routerdc", "causallm")
AMBIGUOUS = {"cedar-large": "cedar"}
"""LLMRouter takes the first name that it finds anywhere in a text, so it reads one as the other."""

# They are trained in the first test that needs them, on a machine that may be busy.
pytestmark = pytest.mark.timeout(1200)

Told = Mapping[str, Any]


@pytest.fixture(scope="module")
def trained(mlops_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bundles of both, networks that don't fit, and LLMRouter's answers."""
    folder = tmp_path_factory.mktemp("encoders")
    own = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [str(mlops_python), "-m", "tests.support.encoder_bundles", str(folder)],
        cwd=folder,
        env=environment(folder, own),
        capture_output=True,
        text=True,
        timeout=1100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def bundles(trained: Path) -> dict[str, Bundle]:
    return {name: read_bundle(trained / name) for name in STRATEGIES}


@pytest.fixture(scope="module")
def told(trained: Path) -> dict[str, Told]:
    return json.loads((trained / "answers.json").read_text("utf-8"))


def decisions(bundle: Bundle, queries: list[str]) -> list[str]:
    made = head(bundle, HeadArgs())
    return [bundle.labels[int(np.argmax(made.scores(Query(query))))] for query in queries]


@pytest.mark.criterion("R2.1", "R2.5", "R5.1")
def test_routerdc_decides_as_llmrouter_on_500_held_out_queries(
    bundles: dict[str, Bundle], told: dict[str, Told]
) -> None:
    queries, best = told["routerdc"]["queries"], told["routerdc"]["best"]
    theirs = [name for name, _ in told["routerdc"]["answers"]]
    ours = decisions(bundles["routerdc"], queries)
    assert len(queries) >= 500
    assert len(set(theirs)) > 1
    assert ours == theirs
    right = np.mean([mine == model for mine, model in zip(ours, best, strict=True)])
    assert right > 0.4, "a quarter are right by chance"


@pytest.mark.criterion("R2.1", "R2.5", "R5.1")
def test_causallm_names_the_model_that_llmrouter_s_model_names(
    bundles: dict[str, Bundle], told: dict[str, Told]
) -> None:
    """100% of the names that it writes; LLMRouter itself takes one of them for another."""
    queries, best = told["causallm"]["queries"], told["causallm"]["best"]
    ours = decisions(bundles["causallm"], queries)
    assert len(queries) >= 500
    written = [text.strip() for _, text in told["causallm"]["answers"]]
    names = [place for place, text in enumerate(written) if text in bundles["causallm"].labels]
    assert len(names) >= 490
    assert [ours[place] for place in names] == [written[place] for place in names]
    theirs = [name for name, _ in told["causallm"]["answers"]]
    wrong = {(ours[place], theirs[place]) for place in names if ours[place] != theirs[place]}
    assert wrong == set(AMBIGUOUS.items())
    assert "cedar-large" not in theirs
    right = np.mean([mine == model for mine, model in zip(ours, best, strict=True)])
    assert right > 0.8, "cedar-large can't be told from cedar by looking for names in a text"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_any_text_gets_a_finite_score_for_every_label(
    bundles: dict[str, Bundle], strategy: str
) -> None:
    made = head(bundles[strategy], HeadArgs())
    assert made.blocking
    assert not made.embeds
    for text in (*CANARIES, "", "\ud800", "word " * 100_000, "x" * 100_000):
        scores = made.scores(Query(text))
        assert scores.shape == (4,)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_threads_share_a_head(
    bundles: dict[str, Bundle], told: dict[str, Told], strategy: str
) -> None:
    made = head(bundles[strategy], HeadArgs())
    queries = [Query(text) for text in told[strategy]["queries"][:100]]
    alone = [made.scores(query) for query in queries]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(made.scores, queries * 3))
    np.testing.assert_array_equal(np.array(alone * 3), np.array(together))


def test_causallm_reads_the_beginning_of_a_query_that_is_too_long(
    bundles: dict[str, Bundle], told: dict[str, Told]
) -> None:
    query = told["causallm"]["queries"][0]
    short, long = decisions(bundles["causallm"], [query, query + " now" * 20_000])
    assert short in bundles["causallm"].labels
    assert long in bundles["causallm"].labels


def test_nothing_in_a_bundle_names_the_machine_that_trained_it(
    trained: Path, bundles: dict[str, Bundle]
) -> None:
    for bundle in bundles.values():
        for content in bundle.files.values():
            assert str(trained).encode() not in content
            assert str(ROOT).encode() not in content


def with_files(**files: bytes | None) -> Callable[[Bundle], Bundle]:
    """A change of a bundle's files, by the part of their names before the dot; None removes."""

    def changed(bundle: Bundle) -> Bundle:
        names = {name.partition(".")[0]: name for name in bundle.files}
        held = dict(bundle.files) | {names[name]: data for name, data in files.items() if data}
        for name, data in files.items():
            if data is None:
                del held[names[name]]
        return replace(bundle, files=held)

    return changed


def with_parameters(**parameters: object) -> Callable[[Bundle], Bundle]:
    def changed(bundle: Bundle) -> Bundle:
        described = {**bundle.manifest.parameters, **parameters}
        return replace(
            bundle, manifest=bundle.manifest.model_copy(update={"parameters": described})
        )

    return changed


@pytest.mark.parametrize(
    ("strategy", "change", "told"),
    [
        ("routerdc", with_files(encoder=None), "'encoder.onnx' is missing"),
        ("routerdc", with_files(tokenizer=None), "'tokenizer.json' is missing"),
        ("routerdc", with_files(encoder=b"junk"), "encoder.onnx can't be loaded"),
        ("routerdc", with_files(tokenizer=b"{}"), "tokenizer.json can't be read"),
        ("routerdc", with_files(tokenizer=b"\xff"), "tokenizer.json can't be read"),
        ("routerdc", with_parameters(max_tokens=0), "parameters.max_tokens"),
        ("routerdc", with_parameters(similarity="near"), "parameters.similarity"),
        ("causallm", with_parameters(prompt="Who?"), "parameters.prompt"),
        ("causallm", with_parameters(prompt=7), "parameters.prompt"),
        ("causallm", with_parameters(max_tokens=12), "parameters.max_tokens"),
        ("causallm", with_files(model=None), "'model.onnx' is missing"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(
    bundles: dict[str, Bundle], strategy: str, change: Callable[[Bundle], Bundle], told: str
) -> None:
    with pytest.raises(BundleError, match=told):
        head(change(bundles[strategy]), HeadArgs())


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ("nan", "holds numbers that are not finite"),
        ("narrow", "has 7 numbers, and 'models' 32"),
        ("logits", "must give 'vector' of floats, not 'logits' of tensor"),
        ("fixed", "must have the shape"),
        ("mask", "must take 'input_ids' of int64 alone"),
    ],
)
def test_a_network_that_does_not_fit_is_refused(
    trained: Path, bundles: dict[str, Bundle], network: str, told: str
) -> None:
    change = with_files(encoder=(trained / f"{network}.onnx").read_bytes())
    with pytest.raises(BundleError, match=told):
        head(change(bundles["routerdc"]), HeadArgs())


@pytest.mark.usefixtures("bundles")
def test_without_onnxruntime_the_error_names_the_extra(trained: Path) -> None:
    program = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from pathlib import Path\n"
        "from trunkline.routing.bundles.reading import read_bundle\n"
        "from trunkline.routing.heads.head import HeadArgs\n"
        "from trunkline.routing.heads.table import head\n"
        "head(read_bundle(Path(sys.argv[1])), HeadArgs())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(trained / "routerdc")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'trunkline[onnx]'" in done.stderr
