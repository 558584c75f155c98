"""`python -m layers build`: builds the layers, and says how much of Lambda's limit they take."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .building import LAYERS, LIMIT, OPTIONAL, LayerError, build
from .parts import FUNCTIONS, PLATFORMS

MEGABYTE = 1024 * 1024


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m layers")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    building = commands.add_parser("build", help="build the layers and the functions' folders")
    building.add_argument(
        "--architecture", choices=(*PLATFORMS, "all"), default="arm64", help="(arm64)"
    )
    building.add_argument("--output", type=Path, default=Path("build/layers"), metavar="FOLDER")
    options = parser.parse_args()
    chosen = PLATFORMS if options.architecture == "all" else (options.architecture,)
    try:
        return max(_build(each, options.output.absolute()) for each in chosen)
    except LayerError as error:
        print(f"layers: {error}", file=sys.stderr)
        return 2


def _build(architecture: str, output: Path) -> int:
    sizes = build(architecture, output)
    shared = sum(sizes[name] for name in LAYERS)
    for name in (*LAYERS, OPTIONAL):
        print(f"{architecture}: {name}: {sizes[name] / MEGABYTE:.1f} MB")
    whole = 0
    for name in FUNCTIONS:
        size = shared + sizes[f"functions/{name}"]
        whole = max(whole, size + sizes[OPTIONAL])
        print(f"{architecture}: functions/{name} with its layers: {size / MEGABYTE:.1f} MB")
    if whole > LIMIT:
        print(f"layers: that is more than {LIMIT / MEGABYTE:.0f} MB", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
