"""Every provider that LiteLLM knows works as a prefix, and LiteLLM is loaded without a trace."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from tests.fakes import FakeOpenAI
from tests.support.lanes import KEY, ask, call, deployment
from tests.support.providers import Providers
from trunkline.errors import ErrorKind, ProviderError
from trunkline.providers.litellm_lane import LitellmLane

pytestmark = [pytest.mark.criterion("R1.4"), pytest.mark.timeout(180)]

USER = [{"role": "user", "content": "hi"}]
LOOPBACK = {"127.0.0.1", "localhost", "::1", None}


@pytest.fixture
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and addresses of other machines can't be resolved."""
    resolve = socket.getaddrinfo

    def refuse(host: Any, *arguments: Any, **named: Any) -> Any:
        if (host.decode() if isinstance(host, bytes) else host) not in LOOPBACK:
            raise socket.gaierror(socket.EAI_NONAME, "no network in tests")
        return resolve(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("only_loopback")
async def test_every_provider_that_litellm_knows_is_accepted_as_a_prefix(fakes: Providers) -> None:
    lane = LitellmLane()
    await lane.load()
    import litellm

    fake = fakes(FakeOpenAI)
    names = [str(getattr(one, "value", one)) for one in litellm.provider_list]
    assert len(names) > 100
    reached, refused = 0, {}
    for name in names:
        before = len(fake.requests)
        deployed = deployment(f"{name}/some-model", api_base=f"{fake.url}/none", api_key=KEY)
        with pytest.raises(ProviderError) as raised:
            await ask(lane, call("chat", {"messages": USER}), deployed, total=20)
        error = raised.value
        assert "provider not provided" not in error.message.lower(), name
        assert KEY not in error.message, name
        if len(fake.requests) > before:
            reached += 1
            continue
        known = {
            ErrorKind.AUTHENTICATION,  # it has credentials of its own
            ErrorKind.CONNECTION,  # it has an address of its own
            ErrorKind.BAD_REQUEST,  # it has no chat, or wants more than a model's name
            ErrorKind.NOT_FOUND,  # it knows its models
        }
        if error.kind not in known and "is not installed" not in error.message:
            refused[name] = (error.kind, error.message)
    assert reached > 100
    assert set(refused) <= {"clarifai", "triton", "predibase"}  # which want a name in their form


async def test_a_provider_that_nobody_knows_is_said_to_be_unknown() -> None:
    strange = deployment("no-such-provider/model", api_key=KEY)
    object.__setattr__(strange, "provider", "")
    with pytest.raises(ProviderError, match="no-such-provider/model") as raised:
        await ask(LitellmLane(), call("chat", {"messages": USER}), strange)
    assert raised.value.kind is ErrorKind.BAD_REQUEST


async def test_all_who_ask_while_it_loads_are_answered(fakes: Providers) -> None:
    fake = fakes(FakeOpenAI)
    deployed = deployment("openai/gpt-4o", api_base=fake.base_url, api_key=KEY)
    lane = LitellmLane()
    lane.warm()
    impatient = asyncio.create_task(lane.load())
    answers = [ask(lane, call("chat", {"messages": USER}), deployed) for _ in range(20)]
    impatient.cancel()
    got = await asyncio.gather(*answers)
    assert [one.answer.status for one in got] == [200] * 20
    assert lane.loaded


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, in which nothing is imported yet."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=150, check=False
    )


def test_the_gateway_is_there_without_litellm() -> None:
    done = run(
        "import sys, trunkline.app, trunkline.providers.litellm_lane as lane\n"
        "lane.LitellmLane()\n"
        "print([name for name in ('litellm', 'openai', 'httpx') if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_loading_asks_nothing_of_the_network_and_leaves_the_loop_free() -> None:
    done = run(
        """
import asyncio, json, socket, sys
asked, ticks = [], 0

def resolve(host, *arguments, **named):
    asked.append(str(host))
    raise socket.gaierror(socket.EAI_NONAME, "no network")

socket.getaddrinfo = resolve
from trunkline.providers.litellm_lane import LitellmLane

async def main():
    global ticks
    lane = LitellmLane()
    lane.warm()
    while not lane.loaded:
        await asyncio.sleep(0.005)
        ticks += 1

asyncio.run(main())
print(json.dumps({"asked": asked, "ticks": ticks, "proxy": "litellm.proxy.utils" in sys.modules}))
"""
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["asked"] == []
    assert told["ticks"] > 20
    assert not told["proxy"]


def test_litellm_that_is_not_installed_is_an_error_of_the_call() -> None:
    done = run(
        """
import asyncio, sys
sys.modules["litellm"] = None
from tests.support.lanes import ask, call, deployment
from trunkline.errors import ProviderError
from trunkline.providers.litellm_lane import LitellmLane

async def main():
    try:
        await ask(LitellmLane(), call("chat", {"messages": []}), deployment("openai/m"))
    except ProviderError as error:
        print("told:", error.kind.value, error.message)

asyncio.run(main())
"""
    )
    assert "told: internal_server LiteLLM could not be loaded" in done.stdout, done.stderr


def test_nothing_is_printed_of_prompts_or_keys() -> None:
    done = run(
        """
import asyncio
from tests.fakes import FakeAnthropic, FakeOpenAI, MalformedJson, Status
from tests.support.lanes import ask, call, deployment
from trunkline.errors import ProviderError
from trunkline.providers.litellm_lane import LitellmLane

MESSAGES = [{"role": "user", "content": "SECRET-PROMPT"}]

async def main():
    lane = LitellmLane()
    async with FakeOpenAI() as openai, FakeAnthropic() as anthropic:
        for fake, model in ((openai, "openai/m"), (anthropic, "anthropic/m")):
            deployed = deployment(model, api_base=fake.base_url, api_key="sk-SECRET-KEY-123456")
            for fault in (None, Status(401), Status(500), MalformedJson()):
                for stream in (False, True):
                    fake.fault(fault)
                    asked = call("chat", {"messages": MESSAGES}, stream=stream)
                    try:
                        await ask(lane, asked, deployed)
                    except ProviderError:
                        pass
    print("done")

asyncio.run(main())
"""
    )
    assert done.stdout.strip() == "done", done.stderr
    assert "SECRET" not in done.stderr
    assert "Traceback" not in done.stderr
