"""Secrets of AWS Secrets Manager, for what `os.environ/NAME` stands for.

    TRUNKLINE_SECRETS=prod/gateway,arn:aws:secretsmanager:eu-west-1:…:secret:prod/OPENAI_API_KEY-a1B2c3

A secret that is a JSON object holds values by their names; any other text is the value of the name
that the secret's own name ends with (`OPENAI_API_KEY`). What was read stays known while Secrets
Manager is away. boto3 is imported with the first read, with the credentials that it finds.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from importlib import import_module
from typing import Any, Final

from .. import json_text
from ..dataclass import dataclass
from ..settings.managed import SecretsError
from ..settings.schema import KeyManagement
from .s3 import connect

log = logging.getLogger("trunkline.live")

VARIABLE: Final = "TRUNKLINE_SECRETS"
AT_ONCE: Final = 20
"""Secrets that one request may name."""

_ARN: Final = "arn:"
_GONE: Final = "ResourceNotFoundException"
_DENIED: Final = "AccessDeniedException"
_TOLD: Final[Mapping[str, str]] = {
    _GONE: "there is no such secret",
    _DENIED: "the AWS credentials in use may not read it",
    "DecryptionFailure": "the AWS credentials in use may not decrypt it",
    "InvalidRequestException": "it is being deleted, or can't be read now",
}


@dataclass(frozen=True, slots=True)
class Secret:
    """name: its own. version: an id that changes with the value."""

    name: str
    version: str
    value: str = field(repr=False)

    @property
    def fields(self) -> dict[str, str] | None:
        """What it holds by names; None for what is no JSON object."""
        try:
            found = json_text.loads(self.value.encode())
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        return {name: text for name, value in found.items() if (text := _text(value)) is not None}


@dataclass(frozen=True, slots=True)
class _Id:
    """How a secret is named, and in which region; empty for the one that boto3 finds."""

    id: str
    region: str = ""

    @classmethod
    def of(cls, id: str, region: str = "") -> _Id:
        parts = id.split(":")
        return cls(id, parts[3] if id.startswith(_ARN) and len(parts) > 6 else region)


class SecretsManager:
    """Reads secrets, each once, until `refresh` looks whether they have changed.

    Made before the process forks; each process refreshes its own. Everything blocks.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        listed = environ.get(VARIABLE, "").split(",")
        self._listed = tuple(_Id.of(id.strip()) for id in listed if id.strip())
        self._known: dict[_Id, Secret | None] = {}

    @property
    def used(self) -> bool:
        """Whether any secret was ever asked for."""
        return bool(self._known)

    def environment(self) -> dict[str, str]:
        """The values of the secrets that `TRUNKLINE_SECRETS` lists; the first of a name counts.

        Raises SecretsError.
        """
        self._read(self._listed)
        found: dict[str, str] = {}
        for id in self._listed:
            secret = self._known.get(id)
            if secret is None:
                raise _error(id, _TOLD[_GONE])
            fields = secret.fields
            if fields is None:
                fields = {secret.name.rpartition("/")[2]: secret.value}
            found = {**fields, **found}
        return found

    def managed(self, names: Sequence[str], settings: KeyManagement) -> dict[str, str]:
        """See `settings.managed.Vault`."""
        region = settings.aws_region_name or ""
        if settings.primary_secret_name:
            id = _Id.of(settings.primary_secret_name, region)
            self._read([id])
            secret = self._known[id]
            fields = secret.fields if secret is not None else None
            if fields is None:
                raise _error(id, "it is no JSON object" if secret else _TOLD[_GONE])
            wanted = set(names) or fields.keys()
            return {name: value for name, value in fields.items() if name in wanted}
        ids = [_Id.of(name, region) for name in names if _may_be_a_name(name)]
        self._read(ids)
        return {id.id: secret.value for id in ids if (secret := self._known[id]) is not None}

    def values(self) -> Iterator[str]:
        """Everything that is secret of what was read."""
        for secret in self._known.values():
            if secret is not None:
                fields = secret.fields
                yield from [secret.value] if fields is None else fields.values()

    def refresh(self) -> bool:
        """Looks at all that was read before; whether any of it has changed.

        A secret that is gone or forbidden meanwhile is known as before. Raises SecretsError where
        none can be read.
        """
        found, errors = _fetched(list(self._known))
        if errors and not found:
            raise next(iter(errors.values()))
        for id, error in errors.items():
            if self._known[id] is not None or not isinstance(error, _Gone):
                log.warning("%s; its last value stays in use", error)
        changed = [id for id, secret in found.items() if secret != self._known[id]]
        self._known.update(found)
        return bool(changed)

    def _read(self, ids: Iterable[_Id]) -> None:
        """Has them known, or known not to be there. Raises SecretsError for the first that can't
        be told."""
        found, errors = _fetched([id for id in dict.fromkeys(ids) if id not in self._known])
        for id, error in errors.items():
            if not isinstance(error, _Gone):
                raise error
            self._known[id] = None
        self._known.update(found)


class _Gone(SecretsError):
    """There is no such secret."""


Found = tuple[dict[_Id, Secret], dict[_Id, SecretsError]]
"""What was read, and what stood in the way of the others."""


def _fetched(ids: Sequence[_Id]) -> Found:
    found: dict[_Id, Secret] = {}
    errors: dict[_Id, SecretsError] = {}
    for region in dict.fromkeys(id.region for id in ids):
        there = [id for id in ids if id.region == region]
        for first in range(0, len(there), AT_ONCE):
            more, wrong = _of_region(region, there[first : first + AT_ONCE])
            found |= more
            errors |= wrong
    return found, errors


def _of_region(region: str, ids: Sequence[_Id]) -> Found:
    exceptions = import_module("botocore.exceptions")
    try:
        client = connect("secretsmanager", region or _usual_region())
        try:
            return _batch(client, ids)
        except exceptions.ClientError as error:
            if error.response["Error"].get("Code") != _DENIED:
                raise
            # BatchGetSecretValue is a permission of its own.
            return _one_by_one(client, ids, exceptions.ClientError)
    except exceptions.ClientError as error:
        wrong: Any = error.response["Error"]
        return {}, {id: _refused(id, wrong) for id in ids}
    # ValueError: an endpoint that is no URL.
    except (exceptions.BotoCoreError, ValueError, OSError) as error:
        return {}, {id: _error(id, str(error)) for id in ids}


def _usual_region() -> str | None:
    """That of the variables which boto3 doesn't read; None where it finds one by itself."""
    if "AWS_DEFAULT_REGION" in os.environ:
        return None
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_REGION_NAME")


def _batch(client: Any, ids: Sequence[_Id]) -> Found:
    by_id = {id.id: id for id in ids}
    found: dict[_Id, Secret] = {}
    more: dict[str, Any] = {}
    errors: dict[_Id, SecretsError] = {}
    while True:
        answer = client.batch_get_secret_value(SecretIdList=list(by_id), **more)
        for each in answer.get("SecretValues", ()):
            for id in ids:
                if id.id == each["Name"] or each["ARN"].startswith(id.id):
                    found[id] = _secret(each)
        for each in answer.get("Errors", ()):
            if (named := by_id.get(each.get("SecretId", ""))) is not None:
                wrong = {"Code": each.get("ErrorCode"), "Message": each.get("Message")}
                errors[named] = _refused(named, wrong)
        if not answer.get("NextToken"):
            break
        more = {"NextToken": answer["NextToken"]}
    for id in ids:
        if id not in found and id not in errors:
            errors[id] = _Gone(str(_error(id, _TOLD[_GONE])))
    return found, errors


def _one_by_one(client: Any, ids: Sequence[_Id], refusal: type[Any]) -> Found:
    found: dict[_Id, Secret] = {}
    errors: dict[_Id, SecretsError] = {}
    for id in ids:
        try:
            found[id] = _secret(client.get_secret_value(SecretId=id.id))
        except refusal as error:
            errors[id] = _refused(id, error.response["Error"])
    return found, errors


def _secret(answer: Mapping[str, Any]) -> Secret:
    value = answer.get("SecretString")
    if value is None:
        value = answer.get("SecretBinary", b"").decode("utf-8", "replace")
    return Secret(answer["Name"], answer.get("VersionId", ""), value)


def _refused(id: _Id, error: Mapping[str, Any]) -> SecretsError:
    code = str(error.get("Code") or "unknown")
    # What AWS says of a refusal names who asked and what for, and nothing that is in a secret.
    reason = f"{_TOLD.get(code) or error.get('Message') or 'Secrets Manager refused'} ({code})"
    return _Gone(str(_error(id, reason))) if code == _GONE else _error(id, reason)


def _error(id: _Id, reason: str) -> SecretsError:
    return SecretsError(f"the secret {id.id} can't be read: {reason}")


def _may_be_a_name(name: str) -> bool:
    """Whether a secret may be called so; others would make a whole request fail."""
    return 0 < len(name) <= 512 and all(each.isalnum() or each in "/_+=.@-" for each in name)


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
