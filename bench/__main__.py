"""`python -m bench`: install what is missing, measure, write results.json, results.md, results.svg.

A full run writes bench/results/; a quick or partial one writes build/bench/results/, so that it
never replaces figures that were measured with care.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import accounts, drawing, figures, lambda_start, ledger, report, rollout, routers
from .contenders import CONTENDERS, running_upstream, write_lane_config
from .figures import Figures
from .installation import BUILD, install, machine, versions
from .load import Client
from .measures import QUICK, Bench, Plan
from .processes import BenchError, Server, foreign_load

RESULTS = Path(__file__).with_name("results")
QUIET = 0.05
"""The share of the machine that others may use without being mentioned."""
ADDABLE = ("routing", "accounts", "ledger", "rollout", "lambda")
"""Measures whose figures stand by themselves."""
MEASURES = (
    "start",
    "throughput",
    "streaming",
    "memory",
    "routing",
    "accounts",
    "ledger",
    "rollout",
    "lambda",
)


def main() -> int:
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.draw:
            folder = options.output or RESULTS
            found = json.loads((folder / "results.json").read_text())
        else:
            whole = set(options.only) == set(CONTENDERS) and set(options.measure) == set(MEASURES)
            folder = options.output or (
                RESULTS if whole and not options.quick else BUILD / "results"
            )
            found = _measure(options)
            if options.add:
                folder = options.output or RESULTS
                found = _added(json.loads((folder / "results.json").read_text()), found)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _write(found, folder)
    ratios = report.ratio_table(found) if found["ratios"] else ()
    print("\n".join(["", *report.table(found), "", *ratios, ""]))
    print(f"Written to {os.path.relpath(folder)}: results.json, results.md, results.svg")
    return 0


def _measure(options: argparse.Namespace) -> Figures:
    names = [name for name in CONTENDERS if name in options.only]
    install(set(names))
    write_lane_config()
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan = dataclasses.replace(
            plan, rounds=options.rounds, starts=options.rounds, stream_rounds=options.rounds
        )
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {line}", flush=True)

    busy = foreign_load()
    if busy > QUIET:
        say(f"the machine is busy with other things ({busy:.0%}): expect figures that mislead")
    with running_upstream(plan.interval) as upstream:
        Client(upstream, {}).wait_for_answer()
        bench = Bench(plan, [CONTENDERS[name] for name in names], upstream, say)
        _carry_out(bench, options.measure)
        routing = _routing(options, upstream, say)
        charged = _accounts(options, upstream, say)
    rows = _ledger(options, say)
    rollouts = rollout.measure(say) if "rollout" in options.measure else {}
    starts = _lambda(options, say)
    found = figures.of(bench)
    found["ratios"] += figures.routing_ratios(routing)
    found["ratios"] += figures.accounts_ratios(charged) + figures.ledger_ratios(rows)
    found["ratios"] += figures.rollout_ratios(rollouts) + figures.lambda_ratios(starts)
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "busy_before": busy,
        "versions": versions(set(names)),
        **found,
        **({"routing": routing} if routing else {}),
        **({"accounts": charged} if charged else {}),
        **({"ledger": rows} if rows else {}),
        **({"rollout": rollouts} if rollouts else {}),
        **({"lambda": starts} if starts else {}),
    }


def _added(before: Figures, found: Figures) -> Figures:
    """The figures that are there, with those that were found in the place of their like."""
    measured = {entry["figure"] for entry in found["ratios"]}
    ratios = [entry for entry in before["ratios"] if entry["figure"] not in measured]
    told = {name: found[name] for name in ("date", "busy_before")}
    added = {name: found[name] | told for name in ADDABLE if name in found}
    return before | {"ratios": ratios + found["ratios"], **added}


def _carry_out(bench: Bench, wanted: list[str]) -> None:
    if "start" in wanted:
        bench.start()
    if "throughput" in wanted or "streaming" in wanted:
        bench.under_load(throughput="throughput" in wanted, streaming="streaming" in wanted)
    if "memory" in wanted:
        bench.memory()


def _routing(options: argparse.Namespace, upstream: Server, say: Callable[[str], None]) -> Figures:
    """The figures of routers; none where they aren't asked for."""
    if "routing" not in options.measure:
        return {}
    quick = options.quick
    return routers.measure(
        upstream, say, rounds=1 if quick else 7, seconds=3.0, splits=1 if quick else 5
    )


def _accounts(options: argparse.Namespace, upstream: Server, say: Callable[[str], None]) -> Figures:
    """The figures of accounts; none where they aren't asked for."""
    if "accounts" not in options.measure:
        return {}
    return accounts.measure(upstream, say, rounds=1 if options.quick else 7, seconds=3.0)


def _ledger(options: argparse.Namespace, say: Callable[[str], None]) -> Figures:
    """The figures of the ledger; none where they aren't asked for."""
    if "ledger" not in options.measure:
        return {}
    return ledger.measure(say, rounds=1 if options.quick else 5)


def _lambda(options: argparse.Namespace, say: Callable[[str], None]) -> Figures:
    """The figures of cold starts; none where they aren't asked for."""
    if "lambda" not in options.measure:
        return {}
    return lambda_start.measure(say, rounds=1 if options.quick else 5)


def _write(found: Figures, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    (folder / "results.md").write_text(report.markdown(found))
    (folder / "results.svg").write_text(drawing.draw(found))
    picture = routers.picture()
    if "routing" in found and picture.exists():
        (folder / "frontier.svg").write_bytes(picture.read_bytes())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures Trunkline beside other gateways."
    )
    parser.add_argument("--quick", action="store_true", help="one short round, about four minutes")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each measure")
    parser.add_argument(
        "--only",
        type=_names(tuple(CONTENDERS)),
        default=list(CONTENDERS),
        metavar="NAME,…",
        help=f"only these contenders: {', '.join(CONTENDERS)}",
    )
    parser.add_argument(
        "--measure",
        type=_names(MEASURES),
        default=list(MEASURES),
        metavar="NAME,…",
        help=f"only these measures: {', '.join(MEASURES)}",
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where the results go")
    parser.add_argument(
        "--add",
        action="store_true",
        help=f"with --measure of {', '.join(ADDABLE)}: put the figures beside those that are there",
    )
    parser.add_argument(
        "--draw", action="store_true", help="measure nothing: write tables and picture anew"
    )
    return parser


def _names(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := set(found) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not among {known}")
        return found

    return names


if __name__ == "__main__":
    sys.exit(main())
