"""What is proven, in its order. Each step is a sentence about the product."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.openai import FakeOpenAI
from tests.support.traffic import Traffic

from . import documents
from .cdk import CDK
from .deployment import Deployment
from .documents import ADDED, COMMON, EMBEDDER, LARGE, SMALL
from .emulated import AWS, ROOT
from .progress import until
from .remains import remains
from .tasks import Service
from .training import REASON, Trainer
from .user import Asking, User

ARCHITECTURE = "arm64" if platform.machine() == "aarch64" else "x86_64"
"""Of the functions, which the emulator runs on this machine."""
TASKS = 2
APART_SECONDS = 0.3
JUDGED = 4
"""Calls by each bundle that people judge; as many new ones make a training worth while."""
CLIENTS = 4
ROLLOUTS = 10

Step = tuple[str, Callable[[], str | None]]


@dataclass
class Scenario:
    """Everything that takes part. key: of the API's user, once it is made."""

    aws: AWS
    cdk: CDK
    deployment: Deployment
    service: Service
    provider: FakeOpenAI
    trainer: Trainer
    master: str = ""
    key: str = ""
    queue: str = ""
    heard: list[str] = field(default_factory=list)

    def steps(self) -> Iterator[Step]:
        yield "Layers are built", self.layers
        yield "An account is bootstrapped", self.bootstrap
        yield "The stacks are synthesised", self.synthesise
        yield "They are deployed", self.deploy
        yield "Secrets and those who are told are set", self.prepare
        yield "A bundle is uploaded, and in force", self.first_bundle
        yield "A configuration is uploaded, and in force", self.first_configuration
        yield f"{TASKS} tasks are ready behind the load balancer", self.tasks
        yield "A task's role may not do what it needn't", self.least_privilege
        yield "The API is ready", self.readiness
        yield "A key is made", self.make_key
        yield "A chat call is answered by the function", self.chat_by_function
        yield "A short call reaches the function over HTTP", self.embeddings
        yield "A chat call reaches a task", self.chat_by_task
        yield "A streamed answer's pieces arrive apart", self.stream
        yield "The key's spend is seen", self.spend
        yield "A provider's key is changed without a restart", self.change_key
        yield "Another bundle is uploaded, and routes the next call", self.second_bundle
        yield "A bad bundle is refused, and its uploader told why", self.bad_bundle
        yield "A configuration is changed without a restart", self.change_configuration
        yield "A bad configuration is refused", self.bad_configuration
        yield "Training makes a bundle that is rolled out", self.training
        yield "Training that fails says why", self.failed_training
        yield "Maintenance runs", self.maintenance
        yield f"{ROLLOUTS} rollouts and an update under load lose no request", self.update
        yield "Nothing is left when the stacks are destroyed", self.destroy

    # Deploying

    def layers(self) -> str:
        command = [sys.executable, "-m", "layers", "build", "--architecture", ARCHITECTURE]
        built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout + built.stderr
        return built.stdout.splitlines()[-1]

    def bootstrap(self) -> None:
        self.cdk.bootstrap()

    def synthesise(self) -> None:
        self.cdk.synthesise()

    def deploy(self) -> str:
        self.cdk.deploy()
        return f"{len(self.cdk.outputs)} stacks with outputs"

    def prepare(self) -> None:
        self._give_key(documents.PROVIDER_KEY)
        self.queue = self._subscribed()

    def _give_key(self, key: str) -> None:
        """As whoever runs the gateway does: the provider's key, into the secret of such keys."""
        self.aws.client("secretsmanager").put_secret_value(
            SecretId=self.deployment.secret_name("ProviderKeys"),
            SecretString=json.dumps({"OPENAI_API_KEY": key}),
        )

    def _subscribed(self) -> str:
        """The URL of a queue that hears what the topic tells."""
        queues = self.aws.client("sqs")
        url: str = queues.create_queue(QueueName="people-who-are-told")["QueueUrl"]
        wanted = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = wanted["Attributes"]["QueueArn"]
        allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
                   "Action": "sqs:SendMessage", "Resource": arn}  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.aws.client("sns").subscribe(
            TopicArn=self.deployment.topic, Protocol="sqs", Endpoint=arn
        )
        return url

    def _told(self, text: str) -> str:
        """Waits until the topic has told something that holds the text; all of that."""
        queues = self.aws.client("sqs")

        def found() -> str:
            answer = queues.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            self.heard += [
                json.loads(message["Body"])["Message"] for message in answer.get("Messages", [])
            ]
            return next((heard for heard in self.heard if text in heard), "")

        until(found, f"SNS tells of {text}")
        return found()

    # Rolling out

    def _roll_out(self, bucket: str, key: str, body: bytes) -> str:
        """Uploads, and waits until it is in force."""
        version = self.deployment.upload(bucket, key, body)
        until(lambda: self._in_force(bucket) == version, f"{key} is in force")
        return version

    def _in_force(self, bucket: str) -> str:
        current = self.deployment.pointer(bucket).get("current") or {}
        return str(current.get("version_id", ""))

    def first_bundle(self) -> None:
        self._roll_out(self.deployment.bundles, "incoming/router.tar", documents.bundle(SMALL))

    def first_configuration(self) -> None:
        self._upload_configuration()

    def _upload_configuration(self, *more: str) -> None:
        deployment = self.deployment
        document = documents.configuration(self.provider.url, deployment.bundles, *more)
        self._roll_out(deployment.configuration, "incoming/config.yaml", document)

    # Serving

    def tasks(self) -> None:
        self.service.start(TASKS)

    def least_privilege(self) -> None:
        s3 = self.service.client("s3")
        bundles, training = self.deployment.bundles, self.deployment.told["TRUNKLINE_TRAINING"]
        s3.get_object(Bucket=bundles, Key="active.json")
        attempts: dict[str, Callable[[], object]] = {
            "write the pointer": lambda: s3.put_object(Bucket=bundles, Key="active.json"),
            "upload a bundle": lambda: s3.put_object(Bucket=bundles, Key="incoming/a.tar"),
            "read what is trained on": lambda: s3.get_object(Bucket=training, Key="published.json"),
            "list functions": self.service.client("lambda").list_functions,
        }
        allowed = [what for what, attempt in attempts.items() if not _denied(attempt)]
        assert not allowed, f"a task may {' and '.join(allowed)}"

    def readiness(self) -> None:
        self.user().ask("/health/readiness")

    def user(self, key: str = "") -> User:
        return User(self.deployment.url, key)

    @property
    def administrator(self) -> User:
        return self.user(self.master)

    def make_key(self) -> None:
        self.master = _plain(self.deployment.secret("MasterKey"))
        self.key = self.administrator.ask("/key/generate", {"max_budget": 1.0})["key"]

    def chat_by_function(self) -> None:
        assert json.loads(self._ask_function(SMALL)["body"])["choices"]

    def _ask_function(self, model: str) -> Any:
        """What it answers API Gateway to a chat call."""
        question = {"role": "user", "content": "Hello?"}
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        body = {"model": model, "messages": [question]}
        answer = self.deployment.invoke("api", _event("/v1/chat/completions", headers, body))
        assert answer["statusCode"] == 200, answer
        answer["headers"] = {
            **_single(answer.get("multiValueHeaders")),
            **answer.get("headers", {}),
        }
        return answer

    def embeddings(self) -> None:
        body = {"model": EMBEDDER, "input": "a text"}
        assert self.user(self.key).ask("/v1/embeddings", body)["data"]

    def chat_by_task(self) -> str:
        answer = self.user(self.key).chat(SMALL)
        return f"model {answer.headers['x-trunkline-model']}"

    def stream(self) -> str:
        self.provider.delay_between_chunks = APART_SECONDS
        try:
            pieces = self.user(self.key).streamed(COMMON)
        finally:
            self.provider.delay_between_chunks = 0
        lasted = pieces[-1][0] - pieces[0][0]
        assert b"[DONE]" in b"".join(piece for _, piece in pieces)
        assert lasted > 2 * APART_SECONDS, f"{len(pieces)} pieces within {lasted:.2f} s"
        return f"{len(pieces)} over {lasted:.1f} s"

    def spend(self) -> str:
        def spent() -> float:
            found = self.administrator.ask("/key/info", key=self.key)["info"]["spend"]
            return float(found)

        until(spent, "the key has spent something")
        return f"${spent():.6f}"

    def change_key(self) -> None:
        self.provider.keys = {documents.CHANGED_KEY}
        self._give_key(documents.CHANGED_KEY)
        until(lambda: all(map(_answers, self._everybody())), "the changed key is used")

    def _auto(self) -> str:
        """The model that the API chooses."""
        return _model(self.user(self.key).chat("auto").headers)

    def _judge(self) -> None:
        """Says of some answers to calls that were routed what they were worth."""
        user = self.user(self.key)
        for number in range(JUDGED):
            call = user.chat("auto").headers["x-trunkline-call-id"]
            user.ask("/v1/feedback", {"call_id": call, "thumbs": "up" if number % 2 else "down"})

    def second_bundle(self) -> str:
        assert self._auto() == f"openai/{SMALL}"
        self._judge()
        body = documents.bundle(LARGE, created="2026-01-03")
        begun = time.monotonic()
        self.deployment.upload(self.deployment.bundles, "incoming/router.tar", body)
        lasted = dict.fromkeys(self._routers(), 0.0)
        while waited := [name for name, seconds in lasted.items() if not seconds]:
            assert time.monotonic() < begun + 90, f"not routed by it: {waited}"
            for name in waited:
                if self._routers()[name]() == f"openai/{LARGE}":
                    lasted[name] = time.monotonic() - begun
        assert self._auto() == f"openai/{LARGE}"
        told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in lasted.items())
        return f"after the upload, {told}"

    def _routers(self) -> dict[str, Callable[[], str]]:
        """What each process that serves chooses for `auto` now."""
        found: dict[str, Callable[[], str]] = {"the function": self._auto_by_function}
        for number, task in enumerate(self.service.running, 1):
            user = User(task.url, self.key)
            found[f"task {number}"] = lambda user=user: _model(user.chat("auto").headers)
        return found

    def _auto_by_function(self) -> str:
        return _model(self._ask_function("auto")["headers"])

    def bad_bundle(self) -> str:
        before = self._in_force(self.deployment.bundles)
        key = "incoming/bad.tar"
        version = self.deployment.upload(self.deployment.bundles, key, b"no bundle at all")
        tags = lambda: self.deployment.tags(self.deployment.bundles, key, version)  # noqa: E731
        until(lambda: tags().get("trunkline") == "refused", "the upload is tagged as refused")
        said = self._told("bad.tar")
        assert self._in_force(self.deployment.bundles) == before
        assert self._auto() == f"openai/{LARGE}"
        return said.splitlines()[0]

    def change_configuration(self) -> None:
        processes = [task.process.pid for task in self.service.running]
        assert ADDED not in self.user(self.key).models()
        self._upload_configuration(ADDED)
        everywhere = lambda: all(ADDED in user.models() for user in self._everybody())  # noqa: E731
        until(everywhere, "every task and the function list the added model")
        self.user(self.key).chat(ADDED)
        assert [task.process.pid for task in self.service.running] == processes
        assert all(task.process.poll() is None for task in self.service.running)

    def _everybody(self) -> Iterator[User]:
        """Each task by itself, and what is behind the API."""
        yield from (User(task.url, self.key) for task in self.service.running)
        yield self.user(self.key)

    def bad_configuration(self) -> str:
        before = self._in_force(self.deployment.configuration)
        self.deployment.upload(
            self.deployment.configuration, "incoming/bad.yaml", b"model_list: 7\n"
        )
        said = self._told("bad.yaml")
        assert self._in_force(self.deployment.configuration) == before
        return said.splitlines()[0]

    # Training and maintenance

    def training(self) -> str:
        self._judge()
        self.trainer.bundle = documents.bundle(SMALL, created="2026-01-04")
        self._train("SUCCEEDED")
        assert self.trainer.jobs, "no job was asked for: the function's log says why"
        until(lambda: {self._auto() for _ in range(8)} == {f"openai/{SMALL}"}, "small is chosen")
        return f"{len(self.trainer.rows)} rows, job {self.trainer.jobs[-1]['TrainingJobName']}"

    def failed_training(self) -> str:
        self._judge()
        self.trainer.fails = True
        self._train("FAILED")
        self._told(REASON)
        return REASON

    def _train(self, expected: str) -> None:
        states = self.aws.client("stepfunctions")
        begun = states.start_execution(stateMachineArn=self.deployment.state_machine, input="{}")[
            "executionArn"
        ]

        def look() -> Any:
            return states.describe_execution(executionArn=begun)

        until(lambda: look()["status"] != "RUNNING", "the execution ends", 180)
        ended = look()
        assert ended["status"] == expected, {
            name: ended.get(name) for name in ("status", "error", "cause", "output")
        }

    def maintenance(self) -> str:
        return json.dumps(self.deployment.invoke("maintenance", {}))[:200]

    # Changing and ending

    def update(self) -> str:
        calls, short = Traffic(self.deployment.url, self.key, CLIENTS), Asking(self.user(self.key))
        with calls.flowing(), short.flowing():
            for number in range(ROLLOUTS):
                body = documents.bundle(
                    (SMALL, LARGE)[number % 2], created=f"2026-02-{number + 1:02}"
                )
                self._roll_out(self.deployment.bundles, "incoming/router.tar", body)
            self.cdk.synthesise(image="ghcr.io/example/trunkline:next", lambda_memory="1152")
            self.cdk.deploy()
            self.service.replace()
        failed = [*calls.failed, *short.failed]
        assert not failed, f"{len(failed)} failed: {failed[:5]}"
        assert calls.answered, "no call was made"
        assert short.answered, "no short call was made"
        return f"{len(calls.answered)} by tasks and {short.answered} by the function, 0 failed"

    def destroy(self) -> None:
        self.service.stop()
        self.cdk.destroy()
        left = remains(self.aws)
        assert not left, f"left behind: {left}"


def _denied(attempt: Callable[[], object]) -> bool:
    from botocore.exceptions import ClientError

    try:
        attempt()
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


def _answers(user: User) -> bool:
    body = {"model": EMBEDDER, "input": "a text"}
    return user.send("/v1/embeddings", body).status_code == 200


def _model(headers: Mapping[str, str]) -> str:
    return headers["x-trunkline-model"]


def _single(headers: Mapping[str, list[str]] | None) -> dict[str, str]:
    return {name.lower(): values[-1] for name, values in (headers or {}).items()}


def _plain(secret: str) -> str:
    """The value of a secret that is a JSON object of one entry."""
    (value,) = json.loads(secret).values()
    return str(value)


def _event(path: str, headers: dict[str, str], body: Any) -> dict[str, Any]:
    """What a REST API hands a function."""
    context = {
        "stage": "live",
        "requestId": "1",
        "identity": {"sourceIp": "127.0.0.1"},
        "path": f"/live{path}",
        "httpMethod": "POST",
        "resourcePath": "/{proxy+}",
    }
    return {
        "resource": "/{proxy+}", "path": path, "httpMethod": "POST", "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None, "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.strip("/")}, "stageVariables": None,
        "requestContext": context, "body": json.dumps(body), "isBase64Encoded": False,
    }  # fmt: skip


def workspace(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made
