"""Routing data that users bring: what is refused and where, and what becomes of the rest."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.mlops import Mlops, candidates, done, read_rows, rows, write_rows
from trunkline.routing.embedding.known import embedder


def prepared(mlops: Mlops, folder: Path, *arguments: object) -> dict[str, Any]:
    """What `prepare` wrote into `prepared` below the folder: dataset.json, and rows by split."""
    done(mlops("prepare", *arguments, "--output", folder / "prepared"))
    found = json.loads((folder / "prepared" / "dataset.json").read_text("utf-8"))
    for split in ("train", "test"):
        found[split] = read_rows(folder / "prepared" / f"{split}.jsonl")
    return found


def row(query: str, model: str = "large", score: Any = 1.0, **others: Any) -> dict[str, Any]:
    return {"query": query, "model_name": model, "performance": score, **others}


FAULTY = (
    ('{"query": "a", "model_name": "large"}', "performance is missing"),
    ('{"model_name": "large", "performance": 1}', "query is missing"),
    ('{"query": "a", "performance": 1}', "model_name is missing"),
    ('{"query": "a", "model_name": "tiny", "performance": 1}', "'tiny' is none of the candidate"),
    ('{"query": "a", "model_name": "large", "performance": NaN}', "nan is not finite"),
    ('{"query": "a", "model_name": "large", "performance": Infinity}', "inf is not finite"),
    ('{"query": "a", "model_name": "large", "performance": 1.5}', "1.5 is not between 0 and 1"),
    ('{"query": "a", "model_name": "large", "performance": "1"}', "a number, not a text"),
    ('{"query": 7, "model_name": "large", "performance": 1}', "query: expected a text"),
    ('{"query": "  ", "model_name": "large", "performance": 1}', "query: empty"),
    ('{"query": "a", "model_name": "large", "performance": 1, "token_num": -3}', "token_num"),
    ('["query"]', "expected an object, not a list"),
    ('{"query": "a"', "not JSON"),
    ("\udcff", "not UTF-8"),
)


@pytest.mark.criterion("R5.3")
def test_every_faulty_row_is_told_with_its_line_and_its_fault(mlops: Mlops, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    lines = [json.dumps(row("fine")), *(line for line, _ in FAULTY)]
    data.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))

    ran = mlops("prepare", data, "--llm-data", candidates(tmp_path / "llm.json"), "--output", "out")

    assert ran.returncode == 2
    told = ran.stderr.splitlines()
    for number, (_, fault) in enumerate(FAULTY, 2):
        assert any(f"{data}:{number}: " in line and fault in line for line in told), fault
    assert len(told) == len(FAULTY)
    assert not (tmp_path / "out").exists()


def test_of_many_faults_the_first_are_told_and_the_others_counted(
    mlops: Mlops, tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [row("a", score=2)] * 500)

    ran = mlops("prepare", data, "--output", tmp_path / "out")

    assert ran.returncode == 2
    assert "… and 480 more problems" in ran.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "no rows"), (b"\x1f\x8b\x08cut", "rows.jsonl: "), (b"PAR1 no", "not Parquet")],
    ids=["empty", "half a gzip", "no Parquet"],
)
def test_files_that_cannot_be_read_are_refused(
    mlops: Mlops, tmp_path: Path, content: bytes, told: str
) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_bytes(content)

    ran = mlops("prepare", data, "--output", tmp_path / "out")

    assert ran.returncode == 2
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr


_PARQUET = """
import json, sys, pyarrow
from pyarrow import parquet
rows = [json.loads(line) for line in open(sys.argv[1])]
parquet.write_table(pyarrow.Table.from_pylist(rows), sys.argv[2])
"""


@pytest.mark.criterion("R5.3")
def test_gzip_and_parquet_hold_the_same_data(
    mlops: Mlops, mlops_python: Path, tmp_path: Path
) -> None:
    plain = write_rows(tmp_path / "rows.jsonl", rows(40))
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    parquet = tmp_path / "rows.parquet"
    subprocess.run([mlops_python, "-c", _PARQUET, plain, parquet], check=True)

    found = [prepared(mlops, tmp_path, path) for path in (plain, packed, parquet)]

    assert found[0] == found[1] == found[2]
    assert len(found[0]["train"]) + len(found[0]["test"]) == 80


def test_a_query_and_its_variants_never_stand_on_both_sides(mlops: Mlops, tmp_path: Path) -> None:
    asked = [f"How far is it from town {number} to the sea" for number in range(60)]
    variants = [
        variant for query in asked for variant in (query, f" {query.upper()}\n", query + " ")
    ]
    data = write_rows(tmp_path / "rows.jsonl", map(row, variants))

    found = prepared(mlops, tmp_path, data, "--test-share", "0.3")

    sides = [{" ".join(each["query"].lower().split()) for each in found[split]}
             for split in ("train", "test")]  # fmt: skip
    assert sides[0] | sides[1] == {query.lower() for query in asked}
    assert not sides[0] & sides[1]
    assert 5 <= len(sides[1]) <= 35
    assert prepared(mlops, tmp_path, data, "--test-share", "0.3") == found
    other = prepared(mlops, tmp_path, data, "--test-share", "0.3", "--seed", "1")
    assert other["test"] != found["test"]


def test_what_a_given_test_asks_is_taken_out_of_training(mlops: Mlops, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "train.jsonl", [row("one"), row("Two"), row("three")])
    test = write_rows(tmp_path / "test.jsonl", [row("two ", score=0.5)])

    found = prepared(mlops, tmp_path, data, "--test", test)

    assert [each["query"] for each in found["train"]] == ["one", "three"]
    assert [each["query"] for each in found["test"]] == ["two "]
    assert found["leaked_rows"] == 1


def test_repeated_rows_count_by_their_mean(mlops: Mlops, tmp_path: Path) -> None:
    data = write_rows(
        tmp_path / "rows.jsonl", [row("a", score=1), row("a", score=0), row("a", "small", 0.25)]
    )

    found = prepared(mlops, tmp_path, data, "--test-share", "0")

    assert {each["model_name"]: each["performance"] for each in found["train"]} == {
        "large": 0.5,
        "small": 0.25,
    }
    assert found["repeated_rows"] == 1


def test_of_equally_good_models_the_one_that_was_asked_for_comes_first(
    mlops: Mlops, tmp_path: Path
) -> None:
    # On "tie" both are right; on average the large one is better, the small one is cheaper.
    data = write_rows(
        tmp_path / "rows.jsonl",
        [row("tie", "small"), row("tie"), row("hard", "small", 0.0), row("hard")],
    )
    llm = candidates(tmp_path / "llm.json")

    def first(ties: str) -> str:
        options = ("--llm-data", llm, "--test-share", "0", "--ties", ties)
        found = prepared(mlops, tmp_path, data, *options)
        assert found["labels"][0]["name"] == found["train"][0]["model_name"]
        return str(found["train"][0]["model_name"])

    assert [first(ties) for ties in ("best", "cheapest", "first")] == ["large", "small", "small"]


def test_embeddings_are_those_of_the_embedder_that_serves(mlops: Mlops, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(10))

    found = prepared(mlops, tmp_path, data)

    static = embedder("static")
    vectors = load_file(tmp_path / "prepared" / "embeddings.safetensors")["embeddings"]
    assert found["embedder"]["sha256"] == static.sha256
    for each in (*found["train"], *found["test"]):
        assert np.array_equal(vectors[each["embedding_id"]], static.embed(each["query"]))


def test_rows_may_have_an_embedding_in_the_place_of_a_prompt(mlops: Mlops, tmp_path: Path) -> None:
    static = embedder("static")
    secret = {
        "model_name": "large",
        "performance": 1.0,
        "embedding": static.embed("nobody may read this").tolist(),
        "embedder_sha256": static.sha256,
    }
    data = write_rows(tmp_path / "rows.jsonl", [secret, row("open")])

    found = prepared(mlops, tmp_path, data, "--test-share", "0")

    vectors = load_file(tmp_path / "prepared" / "embeddings.safetensors")["embeddings"]
    hidden = next(each for each in found["train"] if not each["query"])
    assert np.array_equal(vectors[hidden["embedding_id"]], static.embed("nobody may read this"))
    for wrong in ({"embedder_sha256": "0" * 64}, {"embedding": [1.0, 2.0]}):
        write_rows(data, [secret | wrong])
        ran = mlops("prepare", data, "--output", tmp_path / "refused")
        assert ran.returncode == 2
        assert "embedding: " in ran.stderr


def test_a_folder_that_holds_something_else_is_left_alone(mlops: Mlops, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", rows(10))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")

    ran = mlops("prepare", data, "--output", tmp_path / "mine")

    assert ran.returncode == 2
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
