"""What `os.environ/NAME` of a configuration stands for, in the secrets of AWS that it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.s3 import S3, moto
from trunkline.configuration import Configuration
from trunkline.errors import BundleError, ConfigError
from trunkline.live.secrets_manager import SecretsManager
from trunkline.settings import Settings
from trunkline.settings.managed import SecretsError

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def client(server: S3, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Secrets Manager in which this process's boto3 looks, without a secret yet."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**server.environment(), "AWS_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("secretsmanager", region_name=REGION)
    for each in client.list_secrets()["SecretList"]:
        client.delete_secret(SecretId=each["ARN"], ForceDeleteWithoutRecovery=True)
    return client


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Settings]:
    """Reads a configuration of one model, whose key is `os.environ/ONE_KEY`."""

    def read(environ: dict[str, str] | None = None, **general: Any) -> Settings:
        params = {"model": "openai/gpt", "api_key": "os.environ/ONE_KEY"}
        model = {"model_name": "one", "litellm_params": params}
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps({"model_list": [model], "general_settings": general}))
        return Configuration(str(path), environ or {}).read()

    return read


def key(settings: Settings) -> str | None:
    return settings.model_list[0].litellm_params.api_key


MANAGED = {"key_management_system": "aws_secret_manager"}


@pytest.mark.criterion("R10.3")
def test_a_name_is_looked_up_as_the_secret_of_that_name(client: Any, read):
    client.create_secret(Name="ONE_KEY", SecretString="of-its-own-secret")
    assert key(read(**MANAGED)) == "of-its-own-secret"
    # The environment comes first, and what isn't hosted there isn't looked for.
    assert key(read({"ONE_KEY": "of the environment"}, **MANAGED)) == "of the environment"
    other = {"key_management_settings": {"hosted_keys": ["OTHER_KEY"]}}
    assert key(read(**MANAGED, **other)) is None
    hosted = {"key_management_settings": {"hosted_keys": ["ONE_KEY"], "access_mode": "read_only"}}
    found = read(**MANAGED, **hosted)
    assert (key(found), found.environment) == (
        "of-its-own-secret",
        {"ONE_KEY": "of-its-own-secret"},
    )
    unread = {"key_management_settings": {"access_mode": "write_only"}}
    assert key(read(**MANAGED, **unread)) is None
    told = " ".join(read(key_management_system="hashicorp_vault").warnings)
    assert "key_management_system: 'hashicorp_vault' is not supported yet: it has no effect" in told


def test_a_primary_secret_holds_them_all(client: Any, read):
    primary = {"key_management_settings": {"primary_secret_name": "all", "aws_region_name": REGION}}
    with pytest.raises(
        ConfigError, match=r"^.*config\.yaml:1: general_settings\.key_management_sy"
    ):
        read(**MANAGED, **primary)
    client.create_secret(Name="all", SecretString='{"ONE_KEY": "one", "PORT": 5432, "TLS": true}')
    found = read(**MANAGED, **primary)
    assert found.environment == {"ONE_KEY": "one", "PORT": "5432", "TLS": "true"}
    client.put_secret_value(SecretId="all", SecretString="no object")
    with pytest.raises(ConfigError, match="the secret all can't be read: it is no JSON object"):
        read(**MANAGED, **primary)


def test_secrets_are_listed_by_name_or_arn_whatever_they_hold(client: Any, read):
    plain = client.create_secret(Name="prod/ONE_KEY", SecretString="98765432")["ARN"]
    client.create_secret(Name="prod/more", SecretString='{"ONE_KEY": "later", "TWO_KEY": "two"}')
    listed = {"TRUNKLINE_SECRETS": f"{plain}, prod/more,"}
    assert key(read(listed)) == "98765432"
    vault = SecretsManager(listed)
    assert vault.environment() == {"ONE_KEY": "98765432", "TWO_KEY": "two"}
    assert "98765432" not in repr(vault.__dict__)
    with pytest.raises(BundleError, match="prod/none can't be read: there is no such secret"):
        read({"TRUNKLINE_SECRETS": "prod/more,prod/none"})


def test_more_than_one_request_holds_are_read(client: Any):
    names = [f"many/KEY_{number}" for number in range(45)]
    for name in names:
        client.create_secret(Name=name, SecretString=f"value of {name}")
    found = SecretsManager({"TRUNKLINE_SECRETS": ",".join(names)}).environment()
    assert found == {name.removeprefix("many/"): f"value of {name}" for name in names}


@pytest.mark.criterion("R10.4")
def test_a_refresh_tells_whether_anything_changed_and_forgets_nothing(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    client.create_secret(Name="prod/ONE_KEY", SecretString="first")
    client.create_secret(Name="prod/TWO_KEY", SecretString="two")
    vault = SecretsManager({"TRUNKLINE_SECRETS": "prod/ONE_KEY,prod/TWO_KEY"})
    assert vault.environment()["ONE_KEY"] == "first"
    assert not vault.refresh()
    client.put_secret_value(SecretId="prod/ONE_KEY", SecretString="second")
    assert vault.environment()["ONE_KEY"] == "first"
    assert vault.refresh()
    assert vault.environment()["ONE_KEY"] == "second"
    client.delete_secret(SecretId="prod/TWO_KEY", ForceDeleteWithoutRecovery=True)
    assert not vault.refresh()
    assert vault.environment()["TWO_KEY"] == "two"
    assert "prod/TWO_KEY can't be read: there is no such secret" in caplog.text
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        SecretsError, match="the secret prod/ONE_KEY can't be read: Could not connect"
    ):
        vault.refresh()
    assert vault.environment()["ONE_KEY"] == "second"
