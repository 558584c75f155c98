"""The folders that a configuration has files written to, and whether that can be done.

The database's file, routing records, and the cache on disk. What is written beside a database of
its own, the journal, may fail: the gateway serves without it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .learned import located
from .schema import Settings

DATA = "general_settings.data_directory"
CACHE = "litellm_settings.cache_params.disk_cache_dir"


def unwritable(settings: Settings, *, keep: bool) -> Iterator[str]:
    """What is wrong with the folders: a line for each that nothing can be written to.

    keep: whether folders that are made for trying it stay.
    """
    for setting, folder in _written(settings).items():
        if reason := _reason(folder, keep=keep):
            yield f"{setting}: nothing can be written to {folder}: {reason}"


def records_folder(settings: Settings) -> Path | None:
    """Where the file of routing records is; None where they aren't kept, or in PostgreSQL."""
    general = settings.general_settings
    in_database = general.charges and (general.database_url or "").startswith("postgres")
    return _data(settings) if general.routing_records and not in_database else None


def _written(settings: Settings) -> dict[str, Path]:
    """The folder of each setting that names one, where something will be written to it."""
    general, told = settings.general_settings, settings.litellm_settings
    found: dict[str, Path] = {}
    if records_folder(settings) or (general.charges and not general.database_url):
        found[DATA] = _data(settings)
    if told.cache and told.cache_params.type == "disk":
        own = told.cache_params.disk_cache_dir
        found |= {CACHE: located(settings.source.parent, own)} if own else {DATA: _data(settings)}
    return found


def _data(settings: Settings) -> Path:
    return located(settings.source.parent, settings.general_settings.data_directory)


def _reason(folder: Path, *, keep: bool) -> str | None:
    """Why nothing can be written to a folder; None where something can.

    Asking for permissions says nothing of a file system that takes no files, nor of root's rights.
    """
    made: list[Path] = []
    try:
        for each in (*reversed(folder.parents), folder):
            if not each.exists():
                each.mkdir(exist_ok=True)
                made.append(each)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # a null character
        return str(error)
    finally:
        for each in reversed(made if not keep else []):
            with suppress(OSError):
                each.rmdir()
