"""Certificate authorities that environment variables name for the clients of providers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from .schema import LitellmSettings

OURS = "SSL_CERT_FILE"
"""Read by the gateway and by LiteLLM where `ssl_verify` says nothing else."""

_READERS = {
    OURS: "the gateway and LiteLLM",
    "REQUESTS_CA_BUNDLE": "Microsoft's libraries",
    "AWS_CA_BUNDLE": "AWS's libraries",
}
_MAY_BE_FOLDERS = frozenset({"REQUESTS_CA_BUNDLE"})


def unusable(settings: LitellmSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the files that the environment names: a line for each variable."""
    verify = settings.ssl_verify
    for variable, readers in _READERS.items():
        path = environ.get(variable)
        if not path or (variable == OURS and (verify is False or isinstance(verify, str))):
            continue
        reason = _reason(Path(path), folders=variable in _MAY_BE_FOLDERS)
        if reason:
            yield (
                f"the environment variable {variable} names {path}: expected a file of"
                f" certificate authorities for {readers} ({reason})"
            )


def _reason(path: Path, *, folders: bool) -> str | None:
    """Why a file can't be used; None where it can."""
    if folders and path.is_dir():
        return None
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        return "this isn't one"
    except OSError as error:
        return error.strerror
    return None
