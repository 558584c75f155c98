"""Files and folders that take the place of earlier ones in one step, so that nobody sees half."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from .errors import MlopsError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def created(paths: list[Path]) -> str:
    """When data was made: SOURCE_DATE_EPOCH, else the day on which its newest file last changed.

    ISO 8601, UTC. It doesn't move with the clock, so that the same data gives the same bytes.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch:
        if not (epoch.isascii() and epoch.isdigit() and len(epoch) < 12):
            raise MlopsError(f"SOURCE_DATE_EPOCH: expected seconds since 1970, not {epoch!r}")
        return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    newest = max(path.stat().st_mtime for path in paths)
    return datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%d")


def replace_file(data: bytes, output: Path) -> None:
    """Writes a file. Raises MlopsError."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            Path(name).replace(output)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MlopsError(f"{output}: {error.strerror or error}") from None


def replace_folder(files: Mapping[str, bytes], output: Path, *, marker: str) -> None:
    """Writes a folder of these files alone.

    marker: the file by which an earlier folder of the same kind is known; another kind of folder
    that holds anything is left as it is. Raises MlopsError.
    """
    check_replaceable(output, marker)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        try:
            _fill(beside, files)
            _put(beside, output)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise MlopsError(f"{output}: {error.strerror or error}") from None


def check_replaceable(output: Path, marker: str) -> None:
    """Raises MlopsError where `replace_folder` would leave what is there as it is."""
    try:
        there = output.exists()
        if there and not ((output / marker).is_file() or not any(output.iterdir())):
            raise MlopsError(f"{output}: it is there already, and holds no {marker}")
    except NotADirectoryError:
        raise MlopsError(f"{output}: it is there already, and is no folder") from None
    except OSError as error:
        raise MlopsError(f"{output}: {error.strerror or error}") from None


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.chmod(0o755)
    for name, data in files.items():
        with (folder / name).open("wb") as file:
            file.write(data)
            os.fsync(file.fileno())


def _put(beside: Path, output: Path) -> None:
    """Makes the folder beside the output, and what was the output the folder beside it."""
    if not output.exists():
        beside.rename(output)
    elif not _exchange(beside, output):
        # Where a file system can't exchange, the output is gone for a moment, but never half.
        aside = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        output.rename(aside)
        beside.rename(output)
        aside.rename(beside)


def _exchange(one: Path, other: Path) -> bool:
    """Swaps two names in one step (renameat2, Linux 3.15); False where that can't be done."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0
