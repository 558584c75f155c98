"""The options of `trunkline rollout`, apart from what carries it out, which loads numpy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..live.pointer import Guards
from .margins import COST_MARGIN, MARGIN


def add(commands: Any, finish: Callable[[str, argparse.Namespace], int]) -> None:
    """Adds the commands to a parser. finish: carries one out by its name; gives the exit code."""
    rollout = commands.add_parser("rollout", help="roll out bundles and configurations")
    names = rollout.add_subparsers(required=True, metavar="COMMAND")
    helps = {
        "status": "say what is in force, and how a trial stands",
        "upload": "put a file among what is incoming",
        "judge": "judge what is incoming, and put what is good into force or on trial",
        "tick": "end a trial whose time is over, or whose guards don't hold",
        "promote": "put the bundle on trial into force",
        "rollback": "end the trial; without one, go back to what was in force before",
    }
    for name, help in helps.items():
        made = names.add_parser(name, help=help)
        made.set_defaults(command=lambda options, name=name: finish(name, options))
        where = made.add_mutually_exclusive_group(required=True)
        for option in ("--bundles", "--configurations"):
            where.add_argument(
                option, dest="place", metavar="PLACE", help="s3://bucket[/prefix], or a folder"
            )
        made.add_argument("--config", metavar="FILE", help="the configuration in force")
        if name == "upload":
            made.add_argument("file", type=Path, metavar="FILE")
        if name == "judge":
            _add_judge(made)


def _add_judge(parser: argparse.ArgumentParser) -> None:
    usual = Guards()
    parser.add_argument("key", nargs="?", metavar="KEY", help="only this upload, though again")
    parser.add_argument("--public-key", action="append", default=[], metavar="KEY")
    parser.add_argument("--margin", type=float, default=MARGIN, help="of quality (%(default)s)")
    parser.add_argument("--cost-margin", type=float, default=COST_MARGIN, help="(%(default)s)")
    parser.add_argument("--share", type=float, default=0.0, help="of calls for a trial (no trial)")
    parser.add_argument("--minutes", type=float, default=30.0, help="of a trial (%(default)s)")
    parser.add_argument("--errors", type=float, default=usual.errors, help="guard (%(default)s)")
    parser.add_argument("--cost", type=float, default=usual.cost, help="guard (%(default)s)")
    parser.add_argument("--quality", type=float, default=usual.quality, help="guard (%(default)s)")
    parser.add_argument("--least-calls", type=int, default=usual.least_calls, help="(%(default)s)")
