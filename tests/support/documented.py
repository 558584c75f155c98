"""Serves the configurations of `tests/configurations` with fakes in place of all providers."""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.fakes import (
    FakeAnthropic,
    FakeAzure,
    FakeBedrock,
    FakeCohere,
    FakeCompatible,
    FakeGemini,
    FakeOpenAI,
    FakeProvider,
    FakeVertex,
    Recorded,
)
from tests.fakes.bedrock import signature
from tests.fakes.reply import Reply
from tests.fakes.server import Route

from .gateway import Gateway, Gateways
from .identities import FakeEntra, FakeSts, Tunnel
from .ollama import FakeOllama
from .providers import Providers
from .redirect import Address, redirected

FOLDER = Path(__file__).parents[1] / "configurations"
MASTER_KEY = "LITELLM_KEY"
OF_A_ROLE = "issued by STS"
OF_ENTRA = "issued by Entra"
OF_GOOGLE = "issued by Google"

NUMBERS = {"FAST_STREAM_TIMEOUT": "15", "REDIS_PORT": "6379"}
FROM_THE_MACHINE = {"wildcards": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "DEEPSEEK_API_KEY")}
"""Variables that a configuration relies on without naming them, as the providers' SDKs do."""

_IN_PATH = re.compile(r"/deployments/([^/]+)/|/model/([^/]+)/|/models/([^/:]+):")


class Elsewhere(FakeProvider):
    """A server that is no provider, for paths that a configuration passes on."""

    name = "elsewhere"

    def routes(self) -> list[Route]:
        return [("*", "/{rest:.+}", lambda x: Reply(body=b'{"from": "elsewhere"}'))]


class Fleet:
    """All the fakes by name, and the servers that issue credentials for them."""

    def __init__(self, fakes: Providers, folder: Path) -> None:
        self.bedrock = fakes(FakeBedrock, access_key="AKIAOFTHEENVIRONMENT", secret_key="of-env")
        self.vertex = fakes(FakeVertex, keys=[])
        self.sts = fakes(FakeSts, credentials=self.bedrock.credentials)
        self.bedrock.credentials = ChainMap(self.sts.issued, self.bedrock.credentials)
        self.entra = fakes(FakeEntra, clients={"the-azure_client_id": "the-azure_client_secret"})
        self.key_file = folder / "service-account.json"
        self.key_file.write_text(json.dumps(self.vertex.service_account()))
        self.fakes: dict[str, FakeProvider] = {
            "openai": fakes(FakeOpenAI),
            "azure": fakes(FakeAzure),
            "anthropic": fakes(FakeAnthropic),
            "gemini": fakes(FakeGemini),
            "cohere": fakes(FakeCohere),
            "compatible": fakes(FakeCompatible),
            "ollama": fakes(FakeOllama),
            "elsewhere": fakes(Elsewhere),
            "vertex": self.vertex,
            "bedrock": self.bedrock,
        }

    def address(self, params: Mapping[str, str]) -> Address:
        """Where a deployment's calls shall go, by its provider."""
        prefix, slash, model = params["model"].partition("/")
        provider = prefix if slash else params.get("custom_llm_provider", "openai")
        if provider == "bedrock":
            return "aws_bedrock_runtime_endpoint", self.bedrock.url
        if provider == "azure" or model.startswith("rerank"):
            return "api_base", self.fakes[provider].url
        known = {"vertex_ai": "vertex", "ollama_chat": "ollama"}.get(provider, provider)
        fake = self.fakes.get("" if prefix == "*" else known, self.fakes["compatible"])
        return "api_base", fake.base_url

    def hosts(self) -> dict[str, str]:
        """Fakes for addresses that stand outside of the `model_list`."""
        elsewhere = self.fakes["elsewhere"].url
        return {
            "https://company.openai.example.com": self.fakes["azure"].url,
            "https://api.cohere.example.com": elsewhere,
            "https://traces.example.com": elsewhere,
        }

    def environment(self, name: str) -> dict[str, str]:
        """A value for every variable that a configuration needs, and no other provider's."""
        texts = [path.read_text("utf-8") for path in _files(name)]
        named = {
            *re.findall(r"os\.environ/(\w+)", "\n".join(texts)),
            *FROM_THE_MACHINE.get(name, ()),
        }
        special = NUMBERS | {
            "AZURE_API_BASE": self.fakes["azure"].url,
            "AWS_ACCESS_KEY_ID": self.bedrock.access_key,
            "AWS_SECRET_ACCESS_KEY": self.bedrock.secret_key,
            "AZURE_TENANT_ID": "the-tenant",
            "AWS_REGION": "us-west-2",
            "GOOGLE_CLOUD_PROJECT": "fake-project",
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.key_file),
        }
        return {each: special.get(each, f"the-{each.lower()}") for each in named}

    def forget(self) -> None:
        """Forgets which calls arrived."""
        for fake in self.fakes.values():
            fake.requests.clear()

    def reached(self, environment: Mapping[str, str]) -> Reached:
        """Where the calls since the last `forget` arrived: all at one fake, with one credential."""
        arrived = [
            (name, request)
            for name, fake in self.fakes.items()
            for request in fake.requests
            if request.path != "/token"
        ]
        assert arrived, "no provider was asked"
        ats = {name for name, _ in arrived}
        keys = {self._origin(credential_of(request), environment) for _, request in arrived}
        assert len(ats) == len(keys) == 1, (ats, keys)
        first = arrived[0][1]
        return Reached(ats.pop(), model_of(first), keys.pop(), first.headers)

    def _origin(self, credential: str, environment: Mapping[str, str]) -> str:
        """Where a credential is from: who issued it, or the variable that holds it; else itself."""
        issued = {
            OF_A_ROLE: self.sts.issued,
            OF_ENTRA: self.entra.tokens,
            OF_GOOGLE: self.vertex.issued,
        }
        origins = [kind for kind, credentials in issued.items() if credential in credentials]
        origins += [name for name, value in environment.items() if value == credential]
        return origins[0] if origins else credential


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a call arrived: the fake, its name for the model, and the credential's origin."""

    at: str
    model: str
    key: str
    headers: Mapping[str, str]

    @property
    def target(self) -> tuple[str, str, str]:
        return self.at, self.model, self.key


@dataclass(frozen=True, slots=True)
class Served:
    """A configuration in service, with its variables' values."""

    name: str
    file: Path
    environment: Mapping[str, str]
    server: Gateway
    client: httpx.Client


def serve(
    name: str,
    fleet: Fleet,
    tunnel: Tunnel,
    gateways: Gateways,
    into: Path,
    *,
    without: Collection[str] = (),
    stores: Mapping[str, str] | None = None,
) -> Served:
    """Starts a gateway with a configuration whose providers' addresses are the fakes'.

    without: variables that aren't set. stores: those that lead to a database and to Redis, in the
        place of others of their names.
    """
    file = redirected(FOLDER, into, fleet.address, fleet.hosts()) / f"{name}.yaml"
    given = {n: value for n, value in fleet.environment(name).items() if n not in without}
    issuers = {"AWS_ENDPOINT_URL_STS": fleet.sts.url, **tunnel.environment}
    given |= {name: value for name, value in (stores or {}).items() if name in given}
    server = gateways(file, env=given | issuers)
    headers = {
        "authorization": f"Bearer {given.get(MASTER_KEY, 'any')}",
        "x-litellm-end-user-id": "somebody",
    }
    client = httpx.Client(base_url=server.url, headers=headers, timeout=90)
    return Served(name, file, given, server, client)


def model_of(recorded: Recorded) -> str:
    """The model that a call asks its provider for: in the path, the query, the form or the body."""
    found = _IN_PATH.search(recorded.path)
    if found:
        return next(filter(None, found.groups()))
    if recorded.files:
        return str(recorded.form["model"])
    return recorded.parameter("model") or str(recorded.json["model"])


def credential_of(recorded: Recorded) -> str:
    """The key that a call carries; of a signed one, the access key."""
    signed = signature.read(recorded)
    return signed.access_key if signed else recorded.key


def _files(name: str) -> list[Path]:
    included = list((FOLDER / "included").glob("*.yaml")) if name == "include" else []
    return [FOLDER / f"{name}.yaml", *included]
