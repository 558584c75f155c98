"""`trunkline bundle keygen | sign | verify | inspect`: each gives what it has to say."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ...errors import BundleError
from .manifest import MANIFEST, SIGNATURE
from .reading import Trust, files_of, read_bundle
from .signing import generate, key_id, private_key, public_key
from .signing import sign as signature
from .writing import tar


def keygen(options: argparse.Namespace) -> str:
    """Makes a key pair: NAME.pem, which only its owner may read, and NAME.pub.pem."""
    name: Path = options.name
    private, public = generate()
    paths = name.with_name(f"{name.name}.pem"), name.with_name(f"{name.name}.pub.pem")
    for path, text, mode in zip(paths, (private, public), (0o600, 0o644), strict=True):
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(text)
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror}") from None
    return f"{paths[0]}: keep it secret\n{paths[1]}: key {key_id(public_key(public.decode()))}"


def sign(options: argparse.Namespace) -> str:
    """Signs a bundle where it is: a folder gets a signature file, an archive is written anew."""
    path: Path = options.bundle
    read_bundle(path)
    pem = _read(options.key)
    files = files_of(path)
    signed = files | {SIGNATURE: signature(files[MANIFEST], pem)}
    target, data = (path / SIGNATURE, signed[SIGNATURE]) if path.is_dir() else (path, tar(signed))
    beside = target.with_name(f".{target.name}.new")
    try:
        beside.write_bytes(data)
        beside.replace(target)
    except OSError as error:
        raise BundleError(f"{target}: {error.strerror}") from None
    return f"{path}: signed with key {key_id(private_key(pem).public_key())}"


def verify(options: argparse.Namespace) -> str:
    """Checks everything that serving checks without a configuration."""
    keys = tuple(public_key(text) for text in options.key)
    bundle = read_bundle(options.bundle, Trust(keys))
    signed = f"signed by {bundle.signed_by}" if keys else "signature not checked: no --key given"
    return (
        f"{options.bundle}: {bundle.manifest.strategy} {bundle.manifest.version}: whole, {signed}"
    )


def inspect(options: argparse.Namespace) -> str:
    """The manifest as JSON with the weights' shapes, and whether there is a signature."""
    bundle = read_bundle(options.bundle)
    described = bundle.manifest.model_dump()
    described["tensors"] = bundle.weights.shapes()
    described["signed"] = SIGNATURE in files_of(options.bundle)
    return json.dumps(described, indent=1, ensure_ascii=False)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from None
