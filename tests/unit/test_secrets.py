"""Hashes of virtual keys."""

from __future__ import annotations

import hmac

from trunkline.access import secrets


def test_a_key_has_the_hash_that_it_had_however_many_were_hashed_between() -> None:
    made = secrets.Secrets("salt")
    drawn = hmac.digest(b"salt", b"trunkline virtual keys", "sha256")
    for number in (*range(secrets.MOST_HASHES + 10), *range(10)):
        key = f"sk-{number}"
        assert made.hashed(key) == hmac.digest(drawn, key.encode(), "sha256").hex()


def test_other_salts_and_odd_keys_have_hashes_of_their_own() -> None:
    odd = ["", "sk-a", "sk-a ", "SK-A", "sk-\udcff", "sk-🙂", "sk-" + "a" * 1024]
    hashes = [secrets.Secrets(salt).hashed(key) for salt in ("one", "two") for key in odd]
    assert len(set(hashes)) == len(hashes)
