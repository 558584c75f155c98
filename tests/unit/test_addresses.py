"""What of an address may not be shown."""

from __future__ import annotations

import pytest

from trunkline.settings.addresses import secrets_of


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("postgresql://trunkline@db:5432/trunkline?aws_password=iam", None),
        ("redis://default@cache:6379", None),
        ("postgresql://trunkline:p%40ss@db/trunkline", "p@ss"),
        ("https://a-token@hooks.example/x", "a-token"),
        ("https://hooks.example/x", None),
    ],
)
def test_a_password_is_secret_and_a_name_alone_only_where_it_may_be_a_token(
    address: str, secret: str | None
) -> None:
    found = secrets_of(address)
    assert secret in found if secret else not found
