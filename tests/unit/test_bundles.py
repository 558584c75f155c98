"""Bundles: what is accepted, and what is refused with which words."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trunkline.errors import BundleError
from trunkline.routing.bundles.manifest import MANIFEST, SIGNATURE, WEIGHTS, Label, Training
from trunkline.routing.bundles.reading import Trust, parse_bundle, read_bundle
from trunkline.routing.bundles.signing import generate, public_key, sign
from trunkline.routing.bundles.writing import bundle_files, tar, write_folder

PRIVATE, PUBLIC = generate()
OTHER_PRIVATE, _ = generate()
ANY = Trust()
TRUSTED = Trust((public_key(PUBLIC.decode()),))


def files(**fields: Any) -> dict[str, bytes]:
    made: dict[str, Any] = {
        "strategy": "llmrouter-elo",
        "labels": [Label(name="a", input_price=1.0), Label(name="b")],
        "tensors": {"ratings": np.array([1.0, 2.0], np.float32)},
        "training": Training(sha256="0" * 64, queries=1, rows=2),
        "created": "2026-01-02",
    }
    return bundle_files(**(made | fields))


def altered(change: Callable[[dict[str, Any]], None]) -> dict[str, bytes]:
    """A bundle with another manifest."""
    made = files()
    manifest = json.loads(made[MANIFEST])
    change(manifest)
    return made | {MANIFEST: json.dumps(manifest).encode()}


def refused(held: Mapping[str, bytes], trust: Trust = ANY) -> str:
    """Why a bundle is refused."""
    with pytest.raises(BundleError) as error:
        parse_bundle("it", tar(held), trust)
    return str(error.value)


# --- what is read


@pytest.mark.criterion("R2.3")
def test_a_folder_and_an_archive_of_it_are_the_same_bundle(tmp_path: Path) -> None:
    held = files(others={"tokenizer.json": b"{}"}, version="7", evaluation={"quality": 0.5})
    write_folder(held, tmp_path / "folder")
    (tmp_path / "one.tar").write_bytes(tar(held))
    folder, archive = read_bundle(tmp_path / "folder"), read_bundle(tmp_path / "one.tar")
    assert folder.digest == archive.digest == hashlib.sha256(held[MANIFEST]).hexdigest()
    assert folder.manifest == archive.manifest
    assert archive.labels == ("a", "b")
    assert archive.files == {"tokenizer.json": b"{}"}
    assert archive.manifest.version == "7"
    taken = archive.weights.take("ratings", "F", "labels")
    assert taken.tolist() == [1.0, 2.0]
    assert not taken.flags.writeable


def test_an_archive_made_by_tar_is_read(tmp_path: Path) -> None:
    write_folder(files(), tmp_path / "folder")
    subprocess.run(["tar", "-cf", tmp_path / "b.tar", "-C", tmp_path / "folder", "."], check=True)
    assert read_bundle(tmp_path / "b.tar").labels == ("a", "b")


@pytest.mark.criterion("R5.5")
def test_the_same_content_gives_the_same_bytes() -> None:
    assert tar(files(signing_key=PRIVATE)) == tar(files(signing_key=PRIVATE))


def test_hidden_files_of_a_folder_are_no_part_of_the_bundle(tmp_path: Path) -> None:
    write_folder(files(), tmp_path)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert read_bundle(tmp_path).labels == ("a", "b")


# --- what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("strategy"), "strategy: Field required"),
        (lambda m: m.update(format_version=2), "format_version: this program reads format 1"),
        (lambda m: m.update(labels=[]), "labels"),
        (lambda m: m.update(labels=[{"name": "a"}, {"name": "a"}]), "'a' stands there twice"),
        (lambda m: m.update(labels=[{"name": ""}]), "labels.0.name"),
        (lambda m: m["labels"][0].update(input_price=-1), "labels.0.input_price"),
        (lambda m: m.update(created="yesterday"), "created"),
        (lambda m: m.update(extra=1), "extra"),
        (lambda m: m.update(parameters=[1]), "parameters"),
        (lambda m: m["training"].update(sha256="x"), "training.sha256"),
        (lambda m: m["files"].pop(WEIGHTS), "weights.safetensors is missing"),
        (lambda m: m["files"].update({"../x": m["files"][WEIGHTS]}), "can't be the name"),
        (lambda m: m["files"][WEIGHTS].update(size=1), "and its manifest says 1"),
        (lambda m: m["files"][WEIGHTS].update(sha256="0" * 64), "not the one that its manifest"),
        (lambda m: m["files"].update({"x": m["files"][WEIGHTS]}), "the file 'x' is missing"),
    ],
)
def test_a_manifest_with_a_fault_is_refused_by_its_name(
    change: Callable[[dict[str, Any]], None], words: str
) -> None:
    assert words in refused(altered(change))


def test_what_is_no_manifest_is_refused() -> None:
    assert "holds no manifest.json" in refused({"x": b""})
    assert "not JSON" in refused({MANIFEST: b"{"})
    assert "valid dictionary" in refused({MANIFEST: b"[]"})
    assert "more than" in refused({MANIFEST: b" " * (9 * 1024 * 1024)})


def test_a_file_that_the_manifest_does_not_name_is_refused() -> None:
    assert "'run.py' is there but not in the manifest" in refused(files() | {"run.py": b"1"})


def test_weights_that_are_no_safetensors_are_refused() -> None:
    for text in (b"", b"\x80\x04.", b"\xff" * 100, b"\x10\0\0\0\0\0\0\0{not json"):
        made = files()
        manifest = json.loads(made[MANIFEST])
        manifest["files"][WEIGHTS] = {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        words = refused(made | {WEIGHTS: text, MANIFEST: json.dumps(manifest).encode()})
        assert "weights.safetensors can't be read" in words


@pytest.mark.parametrize(
    ("tensor", "kind", "shape", "words"),
    [
        (None, "F", (), "'t' is missing"),
        (np.zeros((2, 3), np.float64), "F", ("n", 3), "must be float16 or float32, not float64"),
        (np.zeros((2, 3), np.float32), "I", ("n", 3), "must be an integer type"),
        (np.zeros((2, 3), np.float32), "F", ("n", 4), "must have the shape (n, 4), not (2, 3)"),
        (np.zeros((2, 3), np.float32), "F", ("n",), "must have the shape (n), not (2, 3)"),
        (np.zeros((3, 3), np.float32), "F", ("labels", 3), "with {'labels': 2}, not (3, 3)"),
        (np.zeros((2, 3), np.float32), "F", ("n", "n"), "must have the shape (n, n)"),
        (np.zeros((2, 0), np.float32), "F", ("n", "m"), "must have the shape"),
        (np.array([1, np.nan], np.float32), "F", ("n",), "not finite"),
        (np.array([1, np.inf], np.float16), "F", ("n",), "not finite"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_by_its_name(
    tensor: np.ndarray | None, kind: str, shape: tuple[str | int, ...], words: str
) -> None:
    tensors = {"other": np.zeros(1, np.float32)} | ({} if tensor is None else {"t": tensor})
    weights = parse_bundle("it", tar(files(tensors=tensors))).weights
    with pytest.raises(BundleError) as error:
        weights.take("t", kind, *shape)
    assert words in str(error.value)


def test_sizes_must_agree_over_tensors() -> None:
    tensors = {"x": np.zeros((5, 2), np.float32), "y": np.zeros(4, np.int32)}
    weights = parse_bundle("it", tar(files(tensors=tensors))).weights
    weights.take("x", "F", "points", "d")
    with pytest.raises(BundleError, match=r"'y' must have the shape \(points\) with"):
        weights.take("y", "I", "points")


def test_a_bundle_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    big = tmp_path / "big.tar"
    with big.open("wb") as file:
        file.truncate(50 * 2**30)
    with pytest.raises(BundleError, match="more than the 1000000 that a bundle may have"):
        read_bundle(big, Trust(size_limit=1_000_000))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / WEIGHTS).touch()
    with (folder / WEIGHTS).open("wb") as file:
        file.truncate(50 * 2**30)
    with pytest.raises(BundleError, match="more than the 1000000"):
        read_bundle(folder, Trust(size_limit=1_000_000))


def member(name: str, **fields: Any) -> bytes:
    """An archive with one member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(info, field, value)
        archive.addfile(info, io.BytesIO(b"") if info.isreg() else None)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (member("../manifest.json"), "not a plain file"),
        (member("/etc/passwd"), "not a plain file"),
        (member("manifest.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "not a plain file"),
        (member("manifest.json", type=tarfile.LNKTYPE, linkname="x"), "not a plain file"),
        (member("x", type=tarfile.FIFOTYPE), "not a plain file"),
        (b"PK\x03\x04", "neither a folder nor a tar file"),
        (b"\x1f\x8b" + b"\0" * 2000, "neither a folder nor a tar file"),
        (b"", "neither a folder nor a tar file"),
    ],
)
def test_an_archive_of_anything_but_plain_files_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        parse_bundle("it", data)


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    write_folder(files(), tmp_path / "b")
    (tmp_path / "b" / "x").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="'x' is not a plain file"):
        read_bundle(tmp_path / "b")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No such file"):
        read_bundle(tmp_path / "nothing")


# --- signatures


def test_a_signed_bundle_is_accepted_and_says_by_whom() -> None:
    bundle = parse_bundle("it", tar(files(signing_key=PRIVATE)), TRUSTED)
    assert len(bundle.signed_by) == 16


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (files(), "the bundle is not signed"),
        (files(signing_key=OTHER_PRIVATE), "is trusted"),
        (files() | {SIGNATURE: b"{}"}, "not a signature file"),
        (files() | {SIGNATURE: b"\xff"}, "not a signature file"),
        (
            files(version="2") | {SIGNATURE: sign(files(version="1")[MANIFEST], PRIVATE)},
            "altered after it was signed",
        ),
    ],
)
def test_with_a_public_key_anything_else_than_its_bundles_is_refused(
    held: Mapping[str, bytes], words: str
) -> None:
    assert words in refused(held, TRUSTED)


def test_an_altered_file_of_a_signed_bundle_is_refused() -> None:
    signed = files(signing_key=PRIVATE)
    other = files(tensors={"ratings": np.array([2.0, 1.0], np.float32)})
    assert "not the one that its manifest" in refused(signed | {WEIGHTS: other[WEIGHTS]}, TRUSTED)


@pytest.mark.parametrize("text", ["", "nothing.pem", "A" * 44, PRIVATE.decode(), "/"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="public key"):
        public_key(text)


def test_a_public_key_is_given_as_pem_as_base64_or_as_a_file(tmp_path: Path) -> None:
    import base64

    raw = TRUSTED.keys[0].public_bytes_raw()
    (tmp_path / "key.pem").write_bytes(PUBLIC)
    for text in (PUBLIC.decode(), base64.b64encode(raw).decode(), str(tmp_path / "key.pem")):
        assert public_key(text).public_bytes_raw() == raw
    assert public_key("key.pem", tmp_path).public_bytes_raw() == raw


# --- the command line


def trunkline(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trunkline", "bundle", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("archived", [False, True])
def test_bundles_are_signed_verified_and_inspected_at_the_command_line(
    tmp_path: Path, archived: bool
) -> None:
    path = tmp_path / ("b.tar" if archived else "b")
    path.write_bytes(tar(files())) if archived else write_folder(files(), path)
    assert trunkline("keygen", tmp_path / "k").returncode == 0
    assert (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600
    public = tmp_path / "k.pub.pem"
    before = trunkline("verify", path, "--key", public)
    assert (before.returncode, "not signed" in before.stderr) == (2, True)
    assert trunkline("sign", path, "--key", tmp_path / "k.pem").returncode == 0
    after = trunkline("verify", path, "--key", public)
    assert (after.returncode, "signed by" in after.stdout) == (0, True), after.stderr
    shown = json.loads(trunkline("inspect", path).stdout)
    assert (shown["strategy"], shown["signed"]) == ("llmrouter-elo", True)
    assert shown["tensors"] == {"ratings": "float32[2]"}
    again = trunkline("keygen", tmp_path / "k")
    assert (again.returncode, "File exists" in again.stderr) == (2, True)
    other = trunkline("sign", path, "--key", public)
    assert (other.returncode, "private key" in other.stderr) == (2, True)
