"""What turns queries into numbers: any text, in bounded time, the same each time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.numpy import save
from tokenizers import Tokenizer

from mlops.embedders import distill
from tests.support.onnx_graphs import attention, embedder_folder
from trunkline.routing.embedding.cached import OVERHEAD, Cached
from trunkline.routing.embedding.embedder import Embedder, EmbedderError
from trunkline.routing.embedding.excerpt import BYTES, excerpt
from trunkline.routing.embedding.known import EMBEDDERS, embedder
from trunkline.routing.embedding.static import DATA, StaticEmbedder
from trunkline.routing.embedding.tokens import WordPieces

ROOT = Path(__file__).parents[2]
STATIC = embedder()
WHOLE = Tokenizer.from_file(str(DATA / "tokenizer.json"))
PIECES = WordPieces((DATA / "tokenizer.json").read_bytes(), 4096)

TEXTS = {
    "question": "What is the capital of France?",
    "hundred thousand words": "word " * 100_000,
    "hundred thousand different words": " ".join(f"w{number}" for number in range(100_000)),
    "a megabyte without a space": "x" * 1_000_000,
    "a megabyte of punctuation": "." * 1_000_000,
    "right to left": "مرحبا كيف حالك؟ שלום עולם",
    "marks of direction": "\u202eabc\u202c \u200f",
    "Chinese": "机器学习是什么？" * 5_000,
    "emoji": "🙂 👩\u200d👩\u200d👧\u200d👦 🇩🇪",
    "null bytes": "a\x00b \x00\x00",
    "lone surrogate": "a \ud800 b",
    "lone surrogates beyond ASCII": "\udfffé" * 10_000,
    "combining marks": "e" + "\u0301" * 100_000,
    "special tokens": "[CLS] [SEP] [MASK] [PAD] [UNK]",
}
ADDED = {
    "id": 30522,
    "content": "don't_split",
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": False,
}
EMPTY = {"nothing": "", "white space": " \n\t\u2003" * 50_000, "a null byte": "\x00"}

MADE: dict[str, Callable[[Path], Embedder]] = {
    "static": lambda _: embedder(),
    "minilm-onnx": lambda folder: embedder("minilm-onnx", embedder_folder(folder)),
    "cached": lambda _: Cached(StaticEmbedder()),
}


@pytest.fixture(scope="module", params=sorted(MADE))
def made(request, tmp_path_factory) -> Embedder:
    return MADE[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def static() -> Embedder:
    return embedder()


# --- what every embedder does


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_has_a_vector(made, text):
    vector = made.embed(text)

    assert vector.shape == (made.dimension,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    length = float(np.linalg.norm(vector))
    assert length == 0 or abs(length - 1) < 1e-5


@given(st.text(st.characters(), max_size=2000))
@examples(max_examples=200, deadline=None)
def test_no_characters_are_an_error(text):
    length = float(np.linalg.norm(STATIC.embed(text)))

    assert length == 0 or abs(length - 1) < 1e-5


@pytest.mark.parametrize("text", EMPTY.values(), ids=EMPTY)
def test_a_text_without_words_has_zeros(made, text):
    assert made.embed(text).tolist() == [0.0] * made.dimension


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_text_has_the_same_vector_from_each_process_that_reads_the_same_files(name, tmp_path):
    one, other = MADE[name](tmp_path), MADE[name](tmp_path)

    assert (one.id, one.sha256) == (other.id, other.sha256)
    for text in TEXTS.values():
        assert one.embed(text).tobytes() == other.embed(text).tobytes()


def test_threads_can_share_an_embedder(made):
    texts = [f"question {number} about {number % 7} trains" for number in range(200)]
    alone = [made.embed(text).tobytes() for text in texts]

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(made.embed, texts * 3))

    assert [vector.tobytes() for vector in together] == alone * 3


def test_of_a_long_text_the_start_and_the_end_are_read(made):
    def long(start: str, middle: str, end: str) -> np.ndarray:
        return made.embed(f"{start} {f'{middle} ' * 40_000} {end}")

    usual = long("Summarise this", "lorem ipsum", "in French")

    assert not np.array_equal(usual, long("Translate this", "lorem ipsum", "in French"))
    assert not np.array_equal(usual, long("Summarise this", "lorem ipsum", "in verse"))
    # However much stands between them, it is never read.
    pasted = "lorem ipsum " * 40_000
    secret = f"Summarise this {pasted}SECRET {pasted}in French"
    assert np.array_equal(made.embed(secret), made.embed(secret.replace("SECRET", "OTHER")))


# --- the part of a text that is read


@given(st.text(st.characters(), max_size=500), st.integers(2, 40))
@examples(max_examples=500, deadline=None)
def test_an_excerpt_is_short_valid_and_its_own_excerpt(text, tokens):
    part = excerpt(text, tokens)

    assert len(part.encode()) <= BYTES * tokens
    assert excerpt(part, tokens) == part


def test_a_short_text_is_read_whole():
    assert excerpt(" Où est la gare ?\n", 8) == "Où est la gare ?"


def test_no_text_has_more_tokens_than_are_read():
    pieces = WordPieces((DATA / "tokenizer.json").read_bytes(), 32)

    for text in TEXTS.values():
        assert len(pieces.ids(text)) <= 32
    assert len(pieces.ids("." * 1000)) == 32


def test_words_looked_up_one_by_one_are_the_tokens_of_the_text():
    texts = [(ROOT / name).read_text("utf-8") for name in ("README.md", "pyproject.toml")]

    for text in [*texts, TEXTS["right to left"], TEXTS["emoji"], "ΟΔΥΣΣΕΥΣ İstanbul naïve"]:
        part = excerpt(text, 4096)
        assert PIECES.ids(text).tolist() == WHOLE.encode(part, add_special_tokens=False).ids


@given(
    st.one_of(
        st.text(max_size=200),
        st.text(st.characters(max_codepoint=127), max_size=200),
        st.text("aZ9 .\x00\x1c\x7f\n[SEP]#'ß", max_size=200),
        # Marks beside what BERT drops, takes apart, makes small, or turns into other marks.
        st.text("aZ.'` \u0301\u00ad\u200d\u2028\u3000éİΣ\u212a\u037e\u1fef\uac00机", max_size=200),
    )
)
@examples(deadline=None, max_examples=500)
def test_a_text_has_the_tokens_that_the_tokenizer_gives_each_word(text: str):
    words = excerpt(text, 4096).split()
    expected = [id for word in words for id in WHOLE.encode(word, add_special_tokens=False).ids]
    for _ in "first", "again":
        assert PIECES.ids(text).tolist() == expected


def test_words_of_any_length_have_the_tokens_that_the_tokenizer_gives():
    for word in ("a" * 100, "a" * 101, "é" * 48, "é" * 49, "internationalization" * 4):
        assert PIECES.ids(word).tolist() == WHOLE.encode(word, add_special_tokens=False).ids


@pytest.mark.parametrize(
    "changed",
    [
        {"normalizer": {"type": "Lowercase"}},
        {"normalizer": None},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"pre_tokenizer": None},
        {"model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "same?": 1}, "unk_token": "[UNK]"}},
        {"added_tokens": [ADDED]},
    ],
    ids=["other letters", "letters", "other marks", "no marks", "words", "added"],
)
def test_another_kind_of_tokenizer_is_asked_for_every_word(changed):
    described = json.loads((DATA / "tokenizer.json").read_text("utf-8"))
    tokenizer = json.dumps(described | changed)
    whole = Tokenizer.from_str(tokenizer)
    pieces = WordPieces(tokenizer.encode(), 64)
    text = "Upper and lower, THE same? don't_split e.g. U.S.A."

    expected = [whole.encode(word, add_special_tokens=False).ids for word in text.split()]

    assert pieces.ids(text).tolist() == [id for ids in expected for id in ids]


def test_capitals_are_other_words_where_the_tokenizer_tells_them_apart():
    described = json.loads((DATA / "tokenizer.json").read_text("utf-8"))
    described["normalizer"]["lowercase"] = False
    pieces = WordPieces(json.dumps(described).encode(), 64)

    assert pieces.ids("THE SAME").tolist() != pieces.ids("the same").tolist()


@pytest.mark.parametrize("word", ["x{}y", "é{}", "y{}" + "z" * 40 + "é"])
def test_words_that_are_never_asked_again_take_no_memory_for_long(word):
    pieces = WordPieces((DATA / "tokenizer.json").read_bytes(), 64)
    tracemalloc.start()
    try:
        for number in range(40_000):
            pieces.ids(word.format(number))
        assert tracemalloc.get_traced_memory()[0] < 2_500_000
    finally:
        tracemalloc.stop()


def test_the_names_of_special_tokens_are_text_like_any_other(static):
    assert not np.array_equal(static.embed("[SEP] [CLS]"), static.embed("[MASK]"))
    assert static.embed("[SEP]").any()


# --- the table that ships


def test_texts_that_mean_the_same_are_closer_than_others(static):
    python = static.embed("How do I sort a list of numbers in Python?")
    code = static.embed("Write Python code that sorts an array")
    bread = static.embed("Which flour is best for baking bread?")

    assert python @ code > 0.3
    assert python @ code > python @ bread + 0.3


def test_it_says_where_it_comes_from_and_takes_less_than_ten_megabytes():
    provenance = (DATA / "PROVENANCE.md").read_text("utf-8")

    for name in ("table.safetensors", "tokenizer.json"):
        assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() in provenance
    assert "Apache License" in (DATA / "LICENSE").read_text("utf-8")
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 10_000_000


def test_a_row_is_as_it_was_distilled_to_half_a_step_of_its_integers():
    vectors = np.random.default_rng(0).normal(size=(50, 16))
    weight = np.linspace(0, 1, 50)

    rows, scales = distill.quantised(vectors, weight)

    steps = np.abs(vectors).max(axis=1) / 127
    assert rows.dtype == np.int8
    lost = np.abs(rows * scales[:, None] - vectors * weight[:, None])
    assert (lost <= (steps * weight)[:, None] / 2 + 1e-6).all()


def test_frequent_pieces_weigh_less_and_what_no_text_has_weighs_nothing():
    tokenizer = (DATA / "tokenizer.json").read_text("utf-8")
    weight = distill.weights(distill.frequencies(tokenizer))
    vocabulary = json.loads(tokenizer)["model"]["vocab"]

    of = {piece: weight[vocabulary[piece]] for piece in ("the", "volcano", "[CLS]", "[UNK]")}
    assert of["the"] < 0.5
    assert 0.99 < of["volcano"] <= 1
    assert of["[CLS]"] == of["[UNK]"] == 0


# --- the digest


@pytest.mark.parametrize("name", ["table.safetensors", "tokenizer.json"])
def test_another_file_is_another_embedder(static, tmp_path, name):
    folder = copytree(DATA, tmp_path / "data")
    assert StaticEmbedder(folder).sha256 == static.sha256

    path = folder / name
    if name == "tokenizer.json":
        path.write_bytes(path.read_bytes() + b"\n")
    else:
        data = bytearray(path.read_bytes())
        data[-1000] ^= 1
        path.write_bytes(data)

    assert StaticEmbedder(folder).sha256 != static.sha256


def test_another_graph_is_another_embedder(tmp_path):
    one = embedder("minilm-onnx", embedder_folder(tmp_path / "one"))
    other = embedder("minilm-onnx", embedder_folder(tmp_path / "other", seed=1))

    assert one.sha256 != other.sha256
    assert (one.id, one.max_tokens, one.dimension) == ("tiny-onnx-8", 64, 8)


# --- recent texts


class Counting:
    """Embeds a text as its length, and counts how often it is asked to."""

    id, sha256, dimension, max_tokens, blocking = "counting-2", "0" * 64, 2, 64, False

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, text: str) -> np.ndarray:
        self.asked.append(text)
        return np.array([len(text), 1], dtype=np.float32)


def test_a_text_that_was_asked_recently_is_remembered():
    counting = Counting()
    cached = Cached(counting)

    assert cached.recall("hello") is None
    first, again = cached.embed("hello"), cached.embed(" hello\n")

    assert again is first
    assert cached.recall("hello") is first
    assert counting.asked == ["hello"]


def test_what_is_remembered_cannot_be_written(static):
    vector = Cached(static).embed("hello")

    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1


def test_the_text_that_was_not_asked_for_longest_is_forgotten():
    counting = Counting()
    cached = Cached(counting, size=2)

    for text in ("a", "b", "a", "c"):
        cached.embed(text)

    assert len(cached) == 2
    assert [text for text in "abc" if cached.recall(text) is not None] == ["a", "c"]


def test_what_is_remembered_is_bounded_in_bytes():
    largest = 5000
    cached = Cached(Counting(), largest=largest)

    for number in range(1000):
        cached.embed(f"{number}" + "ü" * 100_000)
        assert cached.bytes <= largest

    assert 0 < len(cached) <= largest // OVERHEAD
    small = Cached(Counting(), largest=100)
    small.embed("hello")
    assert (len(small), small.bytes) == (0, 0)


def test_a_cached_embedder_is_the_embedder_that_it_caches(tmp_path):
    slow = embedder("minilm-onnx", embedder_folder(tmp_path))
    cached = Cached(slow)

    for name in ("id", "sha256", "dimension", "max_tokens", "blocking"):
        assert getattr(cached, name) == getattr(slow, name)
    assert cached.blocking


# --- what can't be built


def refusal(name: str, folder: Path | None = None) -> str:
    with pytest.raises(EmbedderError) as error:
        embedder(name, folder)
    return str(error.value)


def test_an_unknown_name_is_answered_with_the_known_ones():
    said = refusal("minilm")

    assert "'minilm'" in said
    assert all(name in said for name in EMBEDDERS)


@pytest.mark.parametrize("name", EMBEDDERS)
def test_a_missing_file_is_named(name, tmp_path):
    said = refusal(name, tmp_path)

    assert str(tmp_path) in said
    assert "mlops" in said


def test_minilm_in_onnx_needs_a_folder():
    assert "embedder_path" in refusal("minilm-onnx")


def table(**changed: object) -> bytes:
    usual = {"rows": np.zeros((30522, 4), np.int8), "scales": np.ones(30522, np.float32)}
    facts = changed.pop("facts", {"id": "x", "max_tokens": 64})
    return save(usual | changed, {"embedder": json.dumps(facts)})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 100,
        save({"rows": np.zeros((3, 4), np.int8)}),
        table(rows=np.zeros((30522, 4), np.float32)),
        table(scales=np.ones(3, np.float32)),
        table(scales=np.full(30522, np.nan, np.float32)),
        table(rows=np.zeros((9, 4), np.int8), scales=np.ones(9, np.float32)),
        table(facts={"id": "x"}),
        table(facts={"id": "x", "max_tokens": 1}),
        table(facts=7),
    ],
    ids=["empty", "noise", "part", "floats", "sizes", "nan", "few", "facts", "tokens", "number"],
)
def test_a_broken_table_is_refused(data, tmp_path):
    folder = copytree(DATA, tmp_path / "data")
    (folder / "table.safetensors").write_bytes(data)

    refusal("static", folder)


def test_a_broken_tokenizer_is_refused(tmp_path):
    folder = copytree(DATA, tmp_path / "data")
    (folder / "tokenizer.json").write_text("{}")

    assert "tokenizer.json" in refusal("static", folder)


def test_a_tokenizer_without_marks_of_start_and_end_is_refused(tmp_path):
    folder = embedder_folder(tmp_path)
    text = (folder / "tokenizer.json").read_text("utf-8")
    (folder / "tokenizer.json").write_text(text.replace('"[CLS]"', '"[XXX]"'), "utf-8")

    assert "[CLS]" in refusal("minilm-onnx", folder)


@pytest.mark.parametrize("model", [b"", b"x" * 100, attention(None, 0), attention({}, 0)])
def test_a_broken_graph_is_refused(model, tmp_path):
    folder = embedder_folder(tmp_path)
    (folder / "model.onnx").write_bytes(model)

    assert "model.onnx" in refusal("minilm-onnx", folder)


# --- what a process takes for it


def python(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_gateway_that_embeds_nothing_loads_nothing_for_it():
    program = """
import sys
import trunkline.app
import trunkline.routing.embedding.known
print({"numpy", "onnxruntime", "safetensors", "tokenizers"} & set(sys.modules))
"""
    assert python(program) == "set()"


def test_without_onnxruntime_it_is_told_what_to_install():
    program = """
import sys
sys.modules["onnxruntime"] = None
from pathlib import Path
from trunkline.routing.embedding.known import EmbedderError, embedder
embedder("static")
try:
    embedder("minilm-onnx", Path("anywhere"))
except EmbedderError as error:
    print(error)
"""
    assert "trunkline[onnx]" in python(program)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's threads")
def test_embedding_starts_no_threads(tmp_path):
    program = """
import os, sys
from pathlib import Path
from trunkline.routing.embedding.known import embedder
made = [embedder("static"), embedder("minilm-onnx", Path(sys.argv[1]))]
before = len(os.listdir("/proc/self/task"))
for each in made:
    for number in range(100):
        each.embed(f"question {number} " + "of many words " * 1000)
print(len(os.listdir("/proc/self/task")) - before)
"""
    assert python(program, str(embedder_folder(tmp_path))) == "0"
