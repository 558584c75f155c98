"""Layers are unpacked once for all functions, not once for each of their processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SHARED_FROM_BYTES = 1_000_000


class _Sharing(zipfile.ZipFile):
    """Large archives are unpacked into a folder by their digest, and linked to from there."""

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        archive = Path(self.filename or "")
        if members is not None or path is None or archive.stat().st_size < SHARED_FROM_BYTES:
            super().extractall(path, members, pwd)
            return
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        shared = Path(tempfile.gettempdir()) / "layers" / digest
        if not shared.exists():
            shared.parent.mkdir(exist_ok=True)
            own = Path(tempfile.mkdtemp(dir=shared.parent))
            super().extractall(own)
            with contextlib.suppress(OSError):  # another process was faster
                own.rename(shared)
        for entry in shared.iterdir():
            link = Path(path) / entry.name
            if not link.exists():
                os.symlink(entry, link)


def install() -> None:
    from ministack.core import lambda_runtime

    names = {name: getattr(zipfile, name) for name in ("BadZipFile", "LargeZipFile")}
    lambda_runtime.zipfile = SimpleNamespace(
        ZipFile=_Sharing, LargeFileError=zipfile.LargeZipFile, **names
    )
