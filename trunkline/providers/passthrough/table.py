"""The prefixes whose requests go on to a provider as they came, one row each.

The prefixes, the places that they lead to and the environment variables are LiteLLM's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from ...call import Wire
from ...dataclass import dataclass
from .exchange import Exchange
from .rules import Rules

ANY = re.compile(r".*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Origin:
    """A server of a provider.

    base: its base URL; names in braces are filled in by the row's way to authenticate.
    env: environment variables that name another base.
    params: parameters of a deployment that name another base.
    paths: the paths below the prefix that it serves.
    """

    base: str = ""
    env: tuple[str, ...] = ()
    params: tuple[str, ...] = ("api_base", "base_url")
    paths: re.Pattern[str] = ANY


@dataclass(frozen=True, slots=True)
class PassThrough:
    """A prefix and where it leads.

    prefixes: first segments of the path; the rest of the path goes on.
    providers: LiteLLM's names of the providers whose deployments lend their credentials.
    origins: the servers; the first that serves the path is taken.
    key_env: environment variables that hold the key, in their order.
    user_env: environment variable of a name that goes with the key.
    auth: the header that carries the credential, and how it stands there: `{key}`, or `{basic}`
        for name and key in base64; without a name the key is one, without a password.
    keyless: whether the provider may be called without a key.
    exchange: where the key becomes an access token, which is sent in its place.
    signer: "" for a key in a header, "aws" for SigV4, "google" for OAuth access tokens.
    service: AWS's name of the service that is signed for.
    target: where AWS's JSON protocol is spoken, what precedes the operation in `x-amz-target`.
    wire: the shape of our own errors below the prefix.
    headers, query: headers and parameters that a request gets where it has none of that name.
    rules: what may be asked, where that isn't everything.
    patience: seconds of the longest silence, where the configuration names none.
    model: finds the model in the path.
    group_first: the path's first segment is a model group and does not go on.
    drops: pattern of what a deployment's base URL may end with beyond the provider's base.
    """

    prefixes: tuple[str, ...]
    providers: tuple[str, ...]
    origins: tuple[Origin, ...]
    key_env: tuple[str, ...] = ()
    auth: tuple[str, str] = ("authorization", "Bearer {key}")
    user_env: str = ""
    keyless: bool = False
    exchange: Exchange | None = None
    signer: Literal["", "aws", "google"] = ""
    service: str = ""
    target: str = ""
    wire: Wire = Wire.OPENAI
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    rules: Rules | None = None
    patience: float | None = None
    model: re.Pattern[str] | None = None
    group_first: bool = False
    drops: re.Pattern[str] | None = None

    @property
    def name(self) -> str:
        return self.prefixes[0]


_BEDROCK_AGENTS = re.compile(
    r"/(?:agents|knowledgebases|flows|retrieveAndGenerate|retrieveAndGenerateStream|rerank"
    r"|generateQuery|optimize-prompt)(?:/.*)?"
)
_AWS_KEYS = ("AWS_BEARER_TOKEN_BEDROCK",)

_IBM = Exchange(
    "https://iam.cloud.ibm.com/identity/token",
    ("", "WATSONX_IAM_URL"),
    form={"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": "{key}"},
    headers={"accept": "application/json"},
    expires=("expiration",),
    lasts=("expires_in",),
    held=(("token", "WATSONX_TOKEN", "Bearer"), ("zen_api_key", "WATSONX_ZENAPIKEY", "ZenApiKey")),
)
_GIGACHAT = Exchange(
    "https://ngw.devices.sberbank.ru:9443/api/v2/oauth",
    ("gigachat_auth_url", "GIGACHAT_AUTH_URL"),
    form={"scope": "{scope}"},
    headers={"authorization": "Basic {key}", "rquid": "{uuid}"},
    scope=("gigachat_scope", "GIGACHAT_SCOPE", "GIGACHAT_API_PERS"),
    token=("tok", "access_token"),
    expires=("exp", "expires_at"),
    held=(("gigachat_access_token", "GIGACHAT_ACCESS_TOKEN", "Bearer"),),
)
_TINYFISH = Rules(
    re.compile(
        r"POST /v1/automation/run(?:-async|-sse)?|GET /v1/runs/[^/%]+|POST /v1/runs/[^/%]+/cancel"
    ),
    frozenset({"use_profile", "profile_id", "use_vault", "credential_item_ids"}),
    "TINYFISH_ALLOW_AUTHENTICATED_RUNS",
)


def _aws_service(prefix: str, service: str, target: str) -> PassThrough:
    base = f"https://{service}.{{region}}.{{domain}}"
    env = f"AWS_ENDPOINT_URL_{service.upper()}"
    return PassThrough(
        (prefix,), (prefix,), (Origin(base, (env,)),), signer="aws", service=service, target=target
    )


ROWS: tuple[PassThrough, ...] = (
    PassThrough(
        ("openai", "openai_passthrough"),
        ("openai",),
        (Origin("https://api.openai.com/v1", ("OPENAI_API_BASE", "OPENAI_BASE_URL")),),
        ("OPENAI_API_KEY",),
    ),
    PassThrough(
        ("anthropic",),
        ("anthropic",),
        (Origin("https://api.anthropic.com", ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL")),),
        ("ANTHROPIC_API_KEY",),
        auth=("x-api-key", "{key}"),
        wire=Wire.ANTHROPIC,
        headers=(("anthropic-version", "2023-06-01"),),
        drops=re.compile(r"/v1/messages/?$"),
    ),
    PassThrough(
        ("gemini",),
        ("gemini",),
        (Origin("https://generativelanguage.googleapis.com", ("GEMINI_API_BASE",)),),
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        auth=("x-goog-api-key", "{key}"),
        wire=Wire.GOOGLE,
        model=re.compile(r"/models/(?P<model>[^/:]+)"),
    ),
    PassThrough(
        ("vertex_ai", "vertex-ai"),
        ("vertex_ai", "vertex_ai_beta"),
        (
            Origin(
                "https://discoveryengine.googleapis.com",
                params=(),
                paths=re.compile(r"/discovery/.*"),
            ),
            Origin("https://{host}", ("VERTEXAI_API_BASE",)),
        ),
        auth=("x-goog-api-key", "{key}"),
        signer="google",
        wire=Wire.GOOGLE,
        model=re.compile(r"/models/(?P<model>[^/:]+)"),
    ),
    PassThrough(
        ("bedrock",),
        ("bedrock", "bedrock_converse"),
        (
            Origin(
                "https://bedrock-agent-runtime.{region}.{domain}",
                ("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME",),
                (),
                _BEDROCK_AGENTS,
            ),
            Origin(
                "https://bedrock-runtime.{region}.{domain}",
                ("AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
                ("aws_bedrock_runtime_endpoint", "api_base"),
            ),
        ),
        _AWS_KEYS,
        signer="aws",
        service="bedrock",
        model=re.compile(r"^/model/(?P<model>[^/]+)"),
    ),
    _aws_service("comprehendmedical", "comprehendmedical", "ComprehendMedical_20181030"),
    _aws_service("transcribe", "transcribe", "Transcribe"),
    PassThrough(
        ("azure",),
        ("azure",),
        (Origin("", ("AZURE_API_BASE",)),),
        ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
        auth=("api-key", "{key}"),
        model=re.compile(r"/deployments/(?P<model>[^/]+)"),
        drops=re.compile(r"/openai(?:/.*)?$"),
    ),
    PassThrough(
        ("azure_ai",),
        ("azure_ai",),
        (Origin("", ("AZURE_AI_API_BASE", "AZURE_API_BASE")),),
        ("AZURE_AI_API_KEY", "AZURE_API_KEY"),
        auth=("api-key", "{key}"),
        model=re.compile(r"/deployments/(?P<model>[^/]+)"),
    ),
    PassThrough(
        ("azure_speech",),
        ("azure_speech",),
        (
            Origin(
                "https://{AZURE_SPEECH_REGION}.stt.speech.microsoft.com",
                ("AZURE_SPEECH_API_BASE",),
                paths=re.compile(r"/speech/.*"),
            ),
            Origin(
                "https://{AZURE_SPEECH_REGION}.api.cognitive.microsoft.com",
                ("AZURE_SPEECH_API_BASE",),
                paths=re.compile(r"/speechtotext/.*"),
            ),
        ),
        ("AZURE_SPEECH_API_KEY",),
        auth=("ocp-apim-subscription-key", "{key}"),
    ),
    PassThrough(
        ("cohere",),
        ("cohere", "cohere_chat"),
        (Origin("https://api.cohere.com", ("COHERE_API_BASE",)),),
        ("COHERE_API_KEY", "CO_API_KEY"),
        drops=re.compile(r"/v\d/(?:chat|embed|rerank|generate)/?$"),
    ),
    PassThrough(
        ("mistral",),
        ("mistral",),
        (Origin("https://api.mistral.ai/v1", ("MISTRAL_API_BASE",)),),
        ("MISTRAL_API_KEY",),
    ),
    PassThrough(
        ("vllm",),
        ("vllm", "hosted_vllm"),
        (Origin("", ("VLLM_API_BASE", "HOSTED_VLLM_API_BASE")),),
        ("VLLM_API_KEY", "HOSTED_VLLM_API_KEY"),
        keyless=True,
    ),
    PassThrough(
        ("openrouter",),
        ("openrouter",),
        (Origin("https://openrouter.ai/api/v1", ("OPENROUTER_API_BASE",)),),
        ("OPENROUTER_API_KEY",),
    ),
    PassThrough(
        ("nvidia_nim",),
        ("nvidia_nim",),
        (Origin("https://integrate.api.nvidia.com/v1", ("NVIDIA_NIM_API_BASE",)),),
        ("NVIDIA_NIM_API_KEY",),
        keyless=True,
        group_first=True,
    ),
    PassThrough(
        ("assemblyai",),
        ("assemblyai",),
        (Origin("https://api.assemblyai.com", ("ASSEMBLYAI_API_BASE",)),),
        ("ASSEMBLYAI_API_KEY",),
        auth=("authorization", "{key}"),
    ),
    PassThrough(
        ("eu.assemblyai",),
        ("assemblyai",),
        (Origin("https://api.eu.assemblyai.com", params=()),),
        ("ASSEMBLYAI_API_KEY",),
        auth=("authorization", "{key}"),
    ),
    PassThrough(
        ("deepgram",),
        ("deepgram",),
        (Origin("https://api.deepgram.com/v1", ("DEEPGRAM_API_BASE",)),),
        ("DEEPGRAM_API_KEY",),
        auth=("authorization", "Token {key}"),
    ),
    PassThrough(
        ("fal_ai",),
        ("fal_ai",),
        (Origin("https://queue.fal.run", ("FAL_AI_QUEUE_API_BASE",), params=()),),
        ("FAL_AI_API_KEY",),
        auth=("authorization", "Key {key}"),
    ),
    PassThrough(
        ("cursor",),
        ("cursor",),
        (Origin("https://api.cursor.com", ("CURSOR_API_BASE",)),),
        ("CURSOR_API_KEY",),
        auth=("authorization", "Basic {basic}"),
    ),
    PassThrough(
        ("typesafe",),
        ("typesafe",),
        (Origin("https://api.typesafe.ai", ("TYPESAFE_API_BASE",)),),
        ("TYPESAFE_API_KEY",),
    ),
    PassThrough(
        ("laya",),
        ("laya",),
        (Origin("", ("LAYA_API_BASE",)),),
        ("LAYA_API_KEY",),
        keyless=True,
    ),
    PassThrough(
        ("bespoke",),
        ("bespoke",),
        (Origin("", ("BESPOKE_API_BASE",)),),
        ("BESPOKE_API_KEY",),
        keyless=True,
    ),
    PassThrough(
        ("watsonx",),
        ("watsonx", "watsonx_text"),
        (
            Origin(
                "",
                ("WATSONX_API_BASE", "WATSONX_URL", "WX_URL", "WML_URL"),
                ("api_base", "base_url", "url"),
            ),
        ),
        ("WX_API_KEY", "WATSONX_API_KEY", "WATSONX_APIKEY"),
        exchange=_IBM,
        query=(("version", "2024-03-13"),),
    ),
    PassThrough(
        ("gigachat",),
        ("gigachat",),
        (Origin("https://gigachat.devices.sberbank.ru/api/v1", ("GIGACHAT_API_BASE",)),),
        ("GIGACHAT_CREDENTIALS", "GIGACHAT_API_KEY"),
        exchange=_GIGACHAT,
    ),
    PassThrough(
        ("tinyfish",),
        ("tinyfish",),
        (Origin("https://agent.tinyfish.ai", ("TINYFISH_AGENT_API_BASE",), ()),),
        ("TINYFISH_API_KEY",),
        auth=("x-api-key", "{key}"),
        rules=_TINYFISH,
        patience=1500.0,
    ),
    PassThrough(
        ("langfuse",),
        ("langfuse",),
        (Origin("https://cloud.langfuse.com", ("LANGFUSE_HOST", "LANGFUSE_BASE_URL"), params=()),),
        ("LANGFUSE_SECRET_KEY",),
        user_env="LANGFUSE_PUBLIC_KEY",
        auth=("authorization", "Basic {basic}"),
    ),
)

BY_PREFIX: Mapping[str, PassThrough] = {prefix: row for row in ROWS for prefix in row.prefixes}
