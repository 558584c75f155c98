"""`embedder`: makes the files of an embedder that the gateway can be configured to use."""

from __future__ import annotations

import argparse
from importlib import import_module

from .embedders.made import Made
from .files import check_replaceable, replace_folder

KINDS = {
    "static": ("distill", "distill", "table.safetensors"),
    "onnx": ("onnx_export", "export", "model.onnx"),
}
"""Module and function, which makes the files; and the file by which a folder of them is known."""


def run(options: argparse.Namespace) -> int:
    module, function, marker = KINDS[options.kind]
    check_replaceable(options.output, marker)
    make = getattr(import_module(f"{__package__}.embedders.{module}"), function)
    made: Made = make()
    replace_folder(made.with_papers(), options.output, marker=marker)
    print(f"{options.output}: embedder_path of a configuration, --embedder-path of these commands")
    return 0
