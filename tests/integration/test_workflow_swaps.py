"""What a workflow began with holds to its end, whatever comes into force while models are asked."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fakes import FakeOpenAI, Hold, ModelNotFound, Recorded, Status
from tests.fakes.faults import Fault
from tests.support.bundles import TRAINING, knn_files, routed, write
from tests.support.gateway import Gateway, Gateways
from tests.support.management import Management
from tests.support.providers import Providers
from tests.support.redis import RedisServer, redis_server
from tests.support.workflows import (
    is_check,
    is_reasoning,
    is_split,
    openai_entry,
    prompt_of,
    to,
)
from trunkline.routing.bundles.manifest import Label
from trunkline.routing.bundles.writing import bundle_files
from trunkline.state import keys

from .test_hot_reload import KEY, post, wait_until
from .test_rollout import command

QUESTION, WHO, WHEN = "Who wrote it, and when?", "Who wrote it?", "When was it written?"
SMALL, EXPERT, LARGE, THINKER = "small", "expert", "large", "thinker"
PLACES = 2
"""Calls that a model takes at once."""
WAIT = 60.0


def upstream(name: str) -> str:
    """The other name of a model: the later bundles know models by it."""
    return f"openai/{name}"


def labels(*names: str) -> list[Label]:
    """The first is the smallest."""
    sizes = enumerate(names, start=1)
    return [Label(name=name, size=f"{size}B", input_price=size) for size, name in sizes]


def described(strategy: str, version: str, *names: str, **parameters: Any) -> dict[str, bytes]:
    return bundle_files(
        strategy=strategy,
        labels=labels(*names),
        tensors={},
        training=TRAINING,
        created="2026-01-02",
        version=version,
        parameters=parameters,
    )


@dataclass(frozen=True)
class Kind:
    """A strategy with two bundles that have no label in common, and what comes of each.

    bundles: the earlier and the later one. args: of the strategy. held: the inner call that is
    on its way while the later one comes. says: what models say, by what they are asked.
    before, after: who is asked by each of the two, with how many calls, and who answers last.
    """

    bundles: tuple[dict[str, bytes], dict[str, bytes]]
    args: dict[str, Any]
    held: Callable[[Recorded], bool]
    says: list[tuple[str, Callable[[Recorded], bool]]]
    before: tuple[Counter[str], str]
    after: tuple[Counter[str], str]


def _automix() -> Kind:
    def bundle(version: str, small: str, large: str, *others: str) -> dict[str, bytes]:
        names = (small, large, *others)
        return described("llmrouter-automix", version, *names, small=small, large=large)

    return Kind(
        (bundle("v1", SMALL, LARGE, EXPERT), bundle("v2", upstream(EXPERT), upstream(SMALL))),
        {"samples": 2},
        to(SMALL, QUESTION),
        [("Verdict: incorrect", is_check)],
        (Counter({SMALL: 3, LARGE: 1}), LARGE),
        (Counter({EXPERT: 3, SMALL: 1}), SMALL),
    )


def _knn() -> Kind:
    def bundle(version: str, **fields: str) -> dict[str, bytes]:
        texts = {QUESTION: fields["whole"], WHO: fields["who"], WHEN: fields["when"]}
        return knn_files(texts, version=version)

    return Kind(
        (
            bundle("v1", whole=EXPERT, who=LARGE, when=SMALL),
            bundle("v2", whole=upstream(EXPERT), who=upstream(SMALL), when=upstream(EXPERT)),
        ),
        {"reasoning_model": THINKER},
        is_split,
        [(f"<part>{WHO}</part><part>{WHEN}</part>", is_split)],
        (Counter({THINKER: 2, LARGE: 1, SMALL: 1}), THINKER),
        (Counter({THINKER: 2, SMALL: 1, EXPERT: 1}), THINKER),
    )


def _llm() -> Kind:
    strategy = "llmrouter-llm-multiround"
    later = upstream(SMALL), upstream(EXPERT)
    parts = (
        f"<part>{LARGE}: {WHO}</part><part>{SMALL}: {WHEN}</part>",
        f"<part>{later[0]}: {WHO}</part><part>{later[1]}: {WHEN}</part>",
    )
    return Kind(
        (described(strategy, "v1", SMALL, EXPERT, LARGE), described(strategy, "v2", *later)),
        {"reasoning_model": THINKER},
        is_split,
        [
            (parts[1], lambda request: is_split(request) and later[0] in prompt_of(request)),
            (parts[0], is_split),
        ],
        (Counter({THINKER: 2, LARGE: 1, SMALL: 1}), THINKER),
        (Counter({THINKER: 2, SMALL: 1, EXPERT: 1}), THINKER),
    )


def _r1() -> Kind:
    strategy = "llmrouter-router-r1"
    later = upstream(SMALL), upstream(EXPERT)

    def is_first(request: Recorded) -> bool:
        return is_reasoning(request) and "<information>" not in prompt_of(request)

    return Kind(
        (described(strategy, "v1", SMALL, EXPERT, LARGE), described(strategy, "v2", *later)),
        {"reasoning_model": THINKER},
        is_first,
        [
            (
                f"<search>{later[1]}: {WHO}</search>",
                lambda request: is_first(request) and later[1] in prompt_of(request),
            ),
            (f"<search>{LARGE}: {WHO}</search>", is_first),
            ("<answer>Ada</answer>", is_reasoning),
        ],
        (Counter({THINKER: 3, LARGE: 1}), THINKER),
        (Counter({THINKER: 3, EXPERT: 1}), THINKER),
    )


KINDS: dict[str, Callable[[], Kind]] = {
    "llmrouter-automix": _automix,
    "llmrouter-knn-multiround": _knn,
    "llmrouter-llm-multiround": _llm,
    "llmrouter-router-r1": _r1,
}


@pytest.fixture(scope="module")
def fake(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def entry(fake: FakeOpenAI, name: str) -> dict[str, Any]:
    """A model that is known by two names, and takes few calls at once."""
    made = openai_entry(fake, name, max_parallel_requests=PLACES)
    del made["model_info"]["llmrouter_name"]
    return made


def config(fake: FakeOpenAI, redis: RedisServer, strategy: str, **args: Any) -> dict[str, Any]:
    made = routed([entry(fake, name) for name in (SMALL, EXPERT, LARGE, THINKER)], strategy, **args)
    made["router_settings"] |= {"num_retries": 0, "disable_cooldowns": True, "redis_url": redis.url}
    made["general_settings"] = {"master_key": KEY, "routing_records": True}
    return made


@dataclass
class Asking:
    """A call that a thread makes; `answer` waits for its end."""

    server: Gateway
    key: str
    fields: dict[str, Any] = field(default_factory=dict)
    _found: list[httpx.Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        body = {"model": "auto", "messages": [{"role": "user", "content": QUESTION}]}
        headers = {"authorization": f"Bearer {self.key}"}
        url = f"{self.server.url}/v1/chat/completions"
        self._found.append(httpx.post(url, json=body | self.fields, headers=headers, timeout=WAIT))

    def answer(self) -> httpx.Response:
        self._thread.join()
        (found,) = self._found
        return found


@contextmanager
def held(
    fake: FakeOpenAI,
    server: Gateway,
    key: str,
    when: Callable[[Recorded], bool],
    *faults: Fault,
    **fields: Any,
) -> Iterator[Asking]:
    """A call for the block, one of whose inner calls is at the provider meanwhile.

    faults: with which that one is answered.
    """
    hold, seen = Hold(after_chunks=0), len(fake.requests)
    fake.fault((hold, *faults), when=when)
    asking = Asking(server, key, fields)
    wait_until(lambda: any(map(when, fake.requests[seen:])))
    try:
        yield asking
    finally:
        hold.release()
        asking._thread.join()


def asked(fake: FakeOpenAI) -> Counter[str]:
    return Counter(request.json["model"] for request in fake.requests)


def words(fake: FakeOpenAI) -> int:
    """Tokens that all requests so far had, as the fake counts them."""
    return sum(len(prompt_of(request).split()) for request in fake.requests)


def check(answer: httpx.Response, fake: FakeOpenAI, version: str, came: tuple[Counter[str], str]):
    """That a call went its whole way by one bundle."""
    assert answer.status_code == 200, answer.text
    calls, last = came
    assert asked(fake) == calls
    headers = answer.headers
    assert headers["x-trunkline-bundle"] == version
    assert headers["x-trunkline-model"] == f"openai/{last}"
    assert headers["x-trunkline-calls"] == str(calls.total())
    assert answer.json()["usage"]["prompt_tokens"] == words(fake)


def told(server: Gateway, answer: httpx.Response) -> set[str]:
    """The bundles that log lines of a call name."""
    call_id = f"call_id={answer.headers['x-trunkline-call-id']} "
    lines = [line for line in server.log().splitlines() if call_id in line and "bundle=" in line]
    assert lines
    return {line.partition("bundle=")[2].split()[0] for line in lines}


def check_record(folder: Path, answer: httpx.Response, bundle: str, model: str) -> None:
    """That a call's record comes to tell this. folder: of the configuration.

    Each step of a workflow may be recorded before the next one takes its place.
    """
    call_id = answer.headers["x-trunkline-call-id"]
    path = folder / ".trunkline" / "routing.db"

    def is_there() -> bool:
        with sqlite3.connect(path) as database:
            query = "SELECT bundle, model FROM routing_records WHERE call_id = ?"
            return database.execute(query, (call_id,)).fetchall() == [(bundle, model)]

    wait_until(is_there)


def watched(folder: Path, configuration: dict[str, Any]) -> Path:
    """Writes a configuration that is looked at when that is asked for."""
    general = configuration["general_settings"] | {
        "config_hot_reload": True,
        "config_reload_interval": 3600,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(configuration | {"general_settings": general}), "utf-8")
    return path


def reconfigure(server: Gateway) -> None:
    """Has the configuration taken that was written meanwhile."""
    results = {each["name"]: each["result"] for each in post(server).json()["outcomes"]}
    assert results["configuration"] == "reloaded"


def check_nothing_is_held(server: Gateway, redis: RedisServer, key: str, cost: float) -> None:
    """That no limit holds anything of a key's calls, which cost so much."""
    wait_until(lambda: not redis.client.exists(keys.HELD))
    admin = Management(server.url, KEY)
    wait_until(
        lambda: admin.ask("/key/info", key=key)["info"]["spend"] == pytest.approx(cost, abs=1e-9)
    )


def check_places_are_free(server: Gateway, fake: FakeOpenAI, *models: str) -> None:
    """That no call that is over has kept a place among those that a model takes at once."""
    for model in models:
        hold, seen = Hold(after_chunks=0), len(fake.requests)
        fake.fault(hold, hold)
        both = [Asking(server, KEY, {"model": model}) for _ in range(PLACES)]
        wait_until(lambda seen=seen: len(fake.requests) == seen + PLACES)
        hold.release()
        assert [asking.answer().status_code for asking in both] == [200] * PLACES


def cost_of(*answers: httpx.Response) -> float:
    return sum(float(answer.headers["x-trunkline-cost"]) for answer in answers)


@pytest.mark.criterion("R3.2", "R2.5", "R11.6")
@pytest.mark.parametrize("back", [False, True], ids=["reload", "rollback"])
@pytest.mark.parametrize("strategy", KINDS)
def test_a_workflow_ends_by_the_bundle_that_it_began_with(
    gateway: Gateways, fake: FakeOpenAI, redis: RedisServer, tmp_path: Path, strategy, back
):
    kind, path = KINDS[strategy](), tmp_path / "bundle.tar"
    first, second = kind.bundles
    write(second if back else first, path)
    server = gateway(config(fake, redis, strategy, model_path=str(path), **kind.args))
    if back:
        write(first, path)
        assert post(server).status_code == 200
    key = Management(server.url, KEY).key(max_parallel_requests=2, max_budget=1)
    for text, when in kind.says:
        fake.answer(text, when=when, always=True)
    with held(fake, server, key, kind.held) as asking:
        if back:
            swap = post(server, "/hot-reload/rollback")
        else:
            write(second, path)
            swap = post(server)
        assert swap.json()["outcomes"][0]["version"] == "v2", swap.text
    before = asking.answer()
    check(before, fake, "v1", kind.before)
    fake.requests.clear()
    after = Asking(server, key).answer()
    check(after, fake, "v2", kind.after)
    assert (told(server, before), told(server, after)) == ({"v1"}, {"v2"})
    then = kind.after[1] if kind.after[1] == THINKER else upstream(kind.after[1])
    check_record(server.folder, before, "v1", kind.before[1])
    check_record(server.folder, after, "v2", then)
    check_nothing_is_held(server, redis, key, cost_of(before, after))
    check_places_are_free(server, fake, SMALL, EXPERT, LARGE, THINKER)


@pytest.mark.criterion("R3.2")
def test_a_bundle_of_another_strategy_is_refused_and_disturbs_no_call(
    gateway: Gateways, fake: FakeOpenAI, redis: RedisServer, tmp_path: Path
):
    kind, path = _automix(), tmp_path / "bundle.tar"
    write(kind.bundles[0], path)
    server = gateway(config(fake, redis, "llmrouter-automix", model_path=str(path), **kind.args))
    fake.answer("Verdict: incorrect", when=is_check, always=True)
    with held(fake, server, KEY, kind.held) as asking:
        write(_knn().bundles[1], path)
        swap = post(server)
        assert swap.status_code == 422
        assert "it is a bundle of llmrouter-knn" in swap.json()["outcomes"][0]["error"]
    check(asking.answer(), fake, "v1", kind.before)
    fake.requests.clear()
    check(Asking(server, KEY).answer(), fake, "v1", kind.before)


@pytest.mark.criterion("R3.3")
@pytest.mark.parametrize("stream", [False, True])
def test_a_workflow_ends_by_the_strategy_that_it_began_with(
    gateway: Gateways, fake: FakeOpenAI, redis: RedisServer, tmp_path: Path, stream: bool
):
    """The next configuration has another strategy, and no longer the model that is asked next."""
    before, after = _automix(), _knn()
    automix, knn = (
        write(kind.bundles[0], tmp_path / name)
        for kind, name in ((before, "automix.tar"), (after, "knn.tar"))
    )
    first = config(fake, redis, "llmrouter-automix", model_path=str(automix), **before.args)
    second = config(fake, redis, "llmrouter-knn-multiround", model_path=str(knn), **after.args)
    second["model_list"] = [
        entry(fake, name) | {"model_name": group}
        for name, group in ((SMALL, SMALL), (EXPERT, EXPERT), ("huge", LARGE), (THINKER, THINKER))
    ]
    path = watched(tmp_path, first)
    server = gateway(path)
    key = Management(server.url, KEY).key(max_parallel_requests=2, max_budget=1)
    for text, when in (*before.says, *after.says):
        fake.answer(text, when=when, always=True)
    usage = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    with held(fake, server, key, before.held, **usage) as asking:
        watched(tmp_path, second)
        reconfigure(server)
    answer = asking.answer()
    assert answer.status_code == 200, answer.text
    assert asked(fake) == before.before[0]
    assert answer.headers["x-trunkline-bundle"] == "v1"
    assert answer.headers["x-trunkline-model"] == upstream(LARGE)
    assert f'"prompt_tokens":{words(fake)}' in answer.text.replace(" ", "")
    check_record(tmp_path, answer, "v1", LARGE)
    fake.requests.clear()
    came = {SMALL: SMALL, LARGE: "huge", THINKER: THINKER}
    calls = Counter({came[name]: count for name, count in after.before[0].items()})
    last = Asking(server, key).answer()
    check(last, fake, "v1", (calls, THINKER))
    assert last.headers["x-trunkline-strategy"] == "llmrouter-knn-multiround"
    wait_until(lambda: not redis.client.exists(keys.HELD))
    check_places_are_free(server, fake, SMALL, EXPERT, LARGE, THINKER)


@pytest.mark.criterion("R3.3")
@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_a_model_that_the_next_configuration_leaves_out_is_asked_to_the_end(
    gateway: Gateways, fake: FakeOpenAI, redis: RedisServer, tmp_path: Path, gone: bool
):
    """Where its provider doesn't have it any more either, the call fails as that one says."""
    kind = _r1()
    bundle = write(kind.bundles[0], tmp_path / "bundle.tar")
    first = config(fake, redis, "llmrouter-router-r1", model_path=str(bundle), **kind.args)
    second = config(
        fake, redis, "llmrouter-router-r1", model_path=str(bundle), reasoning_model=EXPERT
    )
    del second["model_list"][-1]
    server = gateway(watched(tmp_path, first))
    key = Management(server.url, KEY).key(max_parallel_requests=1, max_budget=1)
    for text, when in kind.says:
        fake.answer(text, when=when, always=True)
    with held(fake, server, key, kind.held) as asking:
        watched(tmp_path, second)
        reconfigure(server)
        if gone:
            fake.fault(ModelNotFound(), when=to(THINKER), always=True)
    before, cost = asking.answer(), 0.0
    if gone:
        assert before.status_code == 404
        assert before.json()["error"]["code"] == "model_not_found"
        fake.reset()
        for text, when in kind.says:
            fake.answer(text, when=when, always=True)
    else:
        check(before, fake, "v1", kind.before)
        cost = cost_of(before)
    fake.requests.clear()
    after = Asking(server, key).answer()
    check(after, fake, "v1", (Counter({EXPERT: 3, LARGE: 1}), EXPERT))
    assert Asking(server, key, {"model": THINKER}).answer().status_code == 404
    wait_until(lambda: not redis.client.exists(keys.HELD))
    if not gone:
        check_nothing_is_held(server, redis, key, cost + cost_of(after))
    check_places_are_free(server, fake, SMALL, EXPERT, LARGE)


@pytest.mark.criterion("R3.2")
def test_what_stands_in_for_a_failed_workflow_goes_on_by_its_bundle(
    gateway: Gateways, fake: FakeOpenAI, redis: RedisServer, tmp_path: Path
):
    kind, path = _automix(), tmp_path / "bundle.tar"
    write(kind.bundles[0], path)
    made = config(fake, redis, "llmrouter-automix", model_path=str(path), **kind.args)
    for name in (SMALL, EXPERT, LARGE):
        mixed = entry(fake, name) | {"model_name": "mixed"}
        mixed["model_info"]["id"] = f"mixed-{name}"
        made["model_list"].append(mixed)
    made["router_settings"]["fallbacks"] = [{"auto": ["mixed"]}]
    server = gateway(made)
    fake.answer("Verdict: incorrect", when=is_check, always=True)
    with held(fake, server, KEY, kind.held, Status(500)) as asking:
        write(kind.bundles[1], path)
        assert post(server).json()["outcomes"][0]["version"] == "v2"
    answer = asking.answer()
    assert answer.headers["x-trunkline-fallbacks"] == "1"
    assert answer.headers["x-trunkline-deployment"] == "mixed-large"
    assert answer.headers["x-trunkline-bundle"] == "v1"
    assert asked(fake) == kind.before[0] + Counter({SMALL: 1})
    assert told(server, answer) == {"v1"}


@pytest.mark.criterion("R3.2")
def test_a_workflow_s_candidate_on_trial_asks_the_models_that_it_names(
    gateway: Gateways, fake: FakeOpenAI, redis: RedisServer, tmp_path: Path
):
    kind, depot = _automix(), tmp_path / "depot"
    place = ["--bundles", str(depot)]
    for bundle, name in zip(kind.bundles, ("v1", "v2"), strict=True):
        command("upload", *place, str(write(bundle, tmp_path / f"{name}.tar")))
        command("judge", *place, "--share", "0.5")
    server = gateway(
        config(fake, redis, "llmrouter-automix", model_path=str(depot / "active.json"), **kind.args)
    )
    fake.answer("Verdict: incorrect", when=is_check, always=True)
    seen: set[str] = set()
    while seen != {"v1", "v2"}:
        fake.requests.clear()
        answer = Asking(server, KEY).answer()
        version = answer.headers["x-trunkline-bundle"]
        check(answer, fake, version, kind.before if version == "v1" else kind.after)
        seen.add(version)
