"""gmt and ts learn tastes that are planted in the data, and serve them without torch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlops.dataset import Dataset
from tests.support import planted
from tests.support.gateway import environment
from trunkline.routing.bundles.reading import read_bundle
from trunkline.routing.heads.head import Head, HeadArgs, Query
from trunkline.routing.heads.table import head

ROOT = Path(__file__).parents[2]
STRATEGIES = ("gmt", "ts")
LIKED = 0.5
USERS = 24

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.criterion("R2.1", "R2.5", "R5.1"),
    pytest.mark.parametrize("strategy", STRATEGIES),
]


@pytest.fixture(scope="module")
def trained(mlops_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("personal")
    done = subprocess.run(
        [str(mlops_python), "-m", "tests.support.personal_bundles", str(folder)],
        cwd=folder,
        env=environment(folder, {"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def held_out() -> Dataset:
    """Other queries of the same users."""
    return planted.dataset(USERS, 10, 2)


def served(folder: Path) -> Head:
    return head(read_bundle(folder), HeadArgs())


def choice(one: Head, embedding: np.ndarray, user: str) -> int:
    return int(np.argmax(one.scores(Query("", embedding, user))))


def liked(data: Dataset, picked: list[int]) -> float:
    """The share of choices whose answer was liked, of those that were measured."""
    found = data.performance[np.arange(len(data)), picked]
    return float(np.mean(found[~np.isnan(found)] > LIKED))


def test_it_knows_users_better_than_a_router_that_is_blind_to_them(
    trained: Path, held_out: Dataset, strategy: str
) -> None:
    learnt = planted.dataset(USERS, 24, 1)
    nearest = np.argsort(-held_out.embeddings @ learnt.embeddings.T, axis=1)[:, :40]
    blind = liked(held_out, [int(np.nanmean(learnt.performance[n], 0).argmax()) for n in nearest])
    one = served(trained / strategy)
    users = zip(held_out.embeddings, held_out.users, strict=True)
    assert blind < 0.6
    assert liked(held_out, [choice(one, *each) for each in users]) > 0.85


def test_the_query_changes_the_decision(trained: Path, strategy: str) -> None:
    one = served(trained / strategy)
    for number in range(4):
        picked = [choice(one, centre, planted.user(number)) for centre in planted.centres()]
        assert picked == planted.FAVOURITES[number % 2].tolist()


def test_the_user_s_history_changes_the_decision(trained: Path, strategy: str) -> None:
    """Users begin alike. The new one has four examples; the changed one likes others lately."""
    one = served(trained / strategy)
    for user in (planted.NEW, planted.CHANGED):
        picked = [choice(one, centre, user) for centre in planted.centres()]
        assert picked == planted.FAVOURITES[1].tolist()


def test_users_that_it_does_not_know_get_what_most_like(
    trained: Path, held_out: Dataset, strategy: str
) -> None:
    one = served(trained / strategy)
    asked = [choice(one, each, "nobody") for each in held_out.embeddings]
    assert asked == [choice(one, each, "") for each in held_out.embeddings]
    assert liked(held_out, asked) > 0.4, "one in two likes the best that is the same for all"


def test_numpy_scores_as_torch_does(trained: Path, strategy: str) -> None:
    one = served(trained / f"{strategy}-drawn")
    with np.load(trained / f"{strategy}-drawn.npz") as asked:
        found = [
            one.scores(Query("", embedding, user))
            for embedding, user in zip(asked["embeddings"], asked["users"].tolist(), strict=True)
        ]
        wanted = asked["logits"]
    # Half precision points may only disagree on which of two equally near neighbours is nearer.
    ours = np.array(found) - np.mean(found, axis=1, keepdims=True)
    theirs = wanted - wanted.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 if strategy == "gmt" else 0.01)
    assert (ours.argmax(1) == theirs.argmax(1)).mean() >= 0.97
