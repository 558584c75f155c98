"""Uploads on Lambda: what is judged by the function is what gateways would serve."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.bundles import quality_files
from tests.support.lambda_runtime import function
from tests.support.rollout import Buckets
from tests.support.s3 import S3
from trunkline.routing.bundles.writing import tar

pytestmark = pytest.mark.timeout(600)

KEY = "sk-of-the-company"


def config(**general: Any) -> bytes:
    """A configuration of one model, as YAML."""
    params = {"model": "openai/gpt", "api_key": "os.environ/PROVIDER_KEY"}
    model = {"model_name": "small", "litellm_params": params}
    return json.dumps({"model_list": [model], "general_settings": general}).encode()


@pytest.mark.criterion("R3.5", "R10.3", "R10.4")
def test_uploads_are_judged_by_what_secrets_manager_holds(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets = Buckets(s3, "runtime", monkeypatch)
    buckets.secret("listed", {"GATEWAY_KEY": KEY, "PROVIDER_KEY": "sk-provider"})
    buckets.secret("MANAGED_KEY", KEY)
    buckets.configure(secrets="runtime/listed")
    named = ("AWS_", "TRUNKLINE_")
    env = {name: value for name, value in os.environ.items() if name.startswith(named)}

    with function("rollout", tmp_path / "function", env) as made:
        buckets.function = SimpleNamespace(handler=lambda event, context: made.invoke(event))

        def configured(name: str, body: bytes) -> dict[str, Any]:
            return buckets.upload(f"incoming/{name}.yaml", body, buckets.configuration)

        listed = configured("listed", config(master_key="os.environ/GATEWAY_KEY"))
        assert listed["action"] == "accepted", listed
        managed = configured(
            "managed",
            config(
                master_key="os.environ/runtime/MANAGED_KEY",
                key_management_system="aws_secret_manager",
            ),
        )
        assert managed["action"] == "accepted", managed

        refused = {
            "open": (config(), "anybody who reaches the API"),
            "unset": (config(master_key="os.environ/NO_SUCH_KEY"), "NO_SUCH_KEY"),
            "wrong": (b"model_list: 7\n", "model_list"),
        }
        for name, (body, reason) in refused.items():
            outcome = configured(name, body)
            assert outcome["action"] == "refused", outcome
            assert reason in outcome["reason"]
        current = buckets.found(buckets.configuration).pointer.current
        assert current is not None
        assert current.key == "incoming/managed.yaml"

        files = quality_files({"small": 0.4}, {"small": 1.0})
        assert buckets.upload("incoming/good.tar", tar(files))["action"] == "accepted"
        bad = buckets.put("incoming/bad.tar", b"no bundle")
        assert buckets.invoke(bad)["action"] == "refused"
        assert buckets.tags(bad)["trunkline"] == "refused"
        assert buckets.tick()["action"] == "idle"
        said = " ".join(message for _, message in buckets.told())
        assert "incoming/bad.tar" in said
        assert KEY not in said + made.log()
