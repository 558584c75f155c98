"""`embedder`: makes the files of an embedder that the gateway can be configured to use."""

from __future__ import annotations

import argparse
from importlib import import_module

from .errors import MlopsError

KINDS = {"static": "distill:distill", "onnx": "onnx_export:export"}
"""Module and function, which take the folder to write to."""


def run(options: argparse.Namespace) -> int:
    module, _, function = KINDS[options.kind].partition(":")
    make = getattr(import_module(f"{__package__}.embedders.{module}"), function)
    try:
        make(options.output)
    except OSError as error:
        raise MlopsError(f"{options.output}: {error.strerror or error}") from None
    print(f"{options.output}: embedder_path of a configuration, --embedder-path of these commands")
    return 0
