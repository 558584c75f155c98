"""`python -m bench.profile KIND`: where the time of a busy gateway goes, function by function.

perf looks 2,000 times a second at the thread that serves calls, with all that lies on its stack:
Python's functions and the kernel's. A loop over one function tells little of what it costs there,
since it finds everything in the processor's caches.

Needs perf (Debian's `linux-perf`), and a Python that tells perf its functions, 3.13 or later:

    python3.13 -m venv build/profile
    build/profile/bin/pip install -e .
    build/profile/bin/python -m bench.profile local

Sampling makes a call about a third slower; shares of it are what counts. KIND: as in `accounts.py`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.support.postgres import postgres_server
from tests.support.redis import redis_server

from . import accounts
from .contenders import running_upstream
from .installation import BUILD, install
from .load import Client
from .measures import HEADLINE
from .processes import BenchError, tree

RATE = 1999
WARM_SECONDS = 2.0
STACK_BYTES = 16_384
FOLDER = BUILD / "profile"

_FRAME = re.compile(r"\s*[0-9a-f]+ (.*)")
_FUNCTION = re.compile(r"py::(.*?):(?:.*/)?([^/]+/[^/]+)$")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("kind", choices=("master", "local", "redis", "cache"))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--least", type=float, default=1.0, help="microseconds that are shown")
    options = parser.parse_args()
    try:
        _print(options.kind, options.seconds, options.least)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _print(kind: str, seconds: float, least: float) -> None:
    install(set())
    for folder in (FOLDER, accounts.FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    # What a gateway starts inherits it.
    os.environ["PYTHON_PERF_JIT_SUPPORT"] = "1"
    with ExitStack() as stack:
        upstream = stack.enter_context(running_upstream(0.0))
        redis = stack.enter_context(redis_server(FOLDER))
        postgres = stack.enter_context(postgres_server(durable=True))
        changes = accounts.changes_of(redis, postgres)[kind]
        client = stack.enter_context(accounts.client_of(kind, changes, upstream))
        client.load(HEADLINE, WARM_SECONDS)
        rate = _record(client, seconds)
    whole, own = _counted(_samples())
    unit = 1e6 / RATE / (rate * seconds)
    print(f"{rate:,.0f} calls a second; of each, microseconds with what is called, and without:\n")
    for name, samples in whole.most_common():
        if samples * unit < least:
            break
        print(f"{samples * unit:8.1f} {own[name] * unit:8.1f}  {name}")


def _record(client: Client, seconds: float) -> float:
    """Has perf look at a gateway under load; calls a second."""
    options = f"-k 1 -e cpu-clock -F {RATE} --call-graph dwarf,{STACK_BYTES}".split()
    command = ["perf", "record", *options, "-t", str(_busiest(client.server.process.pid))]
    command += ["-o", str(FOLDER / "raw"), "--", "sleep", str(seconds)]
    try:
        perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise BenchError("perf is needed: Debian's linux-perf") from None
    rate = client.load(HEADLINE, seconds + 1).rate
    _, told = perf.communicate()
    if perf.returncode:
        raise BenchError(f"perf can't look at processes here: {told.decode()[-400:]}")
    return rate


def _busiest(root: int) -> int:
    """The process whose main thread has run longest: the one that serves."""
    return max(
        tree(root),
        key=lambda pid: int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]),
    )


def _samples() -> Iterator[list[str]]:
    """Python's functions on the stack of each sample, the innermost first."""
    raw, named = FOLDER / "raw", FOLDER / "named"
    for command in (
        ["perf", "inject", "--jit", "-i", str(raw), "-o", str(named)],
        ["perf", "script", "-i", str(named), "-F", "ip,sym", "--no-inline"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{' '.join(command[:2])}: {done.stderr[-400:]}")
    for sample in done.stdout.split("\n\n"):
        frames = [found[1] for line in sample.splitlines() if (found := _FRAME.match(line))]
        if frames:
            yield [f"{found[1]}  {found[2]}" for each in frames if (found := _FUNCTION.match(each))]


def _counted(samples: Iterator[list[str]]) -> tuple[Counter[str], Counter[str]]:
    """Samples of each function: anywhere on the stack, and innermost."""
    whole: Counter[str] = Counter()
    own: Counter[str] = Counter()
    for functions in samples:
        whole.update(set(functions))
        own[functions[0] if functions else "(no Python)"] += 1
    whole["(no Python)"] = own["(no Python)"]
    return whole, own


if __name__ == "__main__":
    sys.exit(main())
