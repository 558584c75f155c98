"""The four measures. Rounds go over all contenders in turn, so that drift of the machine meets all.

throughput   requests a second and latencies, at several numbers of connections
streaming    time to first byte and CPU time of many concurrent streams
start        from the start of the process to the first answer, and the memory then
memory       after many requests, and for Trunkline its growth over many more
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles

from .contenders import DIRECT, PATH, Contender
from .load import Client, Load, prove
from .processes import BenchError, Memory, Server, wait_until_idle

HEADLINE = 32
"""The number of connections that ratios are taken at."""
LEAST_REQUESTS = 5
"""Requests that each connection should complete, or a measure of a slow server says little."""
LONGEST_LOAD = 25.0
MOST_STOLEN = 0.02
"""The share of the machine's time that its host may give to others during a load."""
LOAD_TRIES = 4
"""How often a load is measured until one was left alone that much."""
UPSTREAM_FACTOR = 5
"""How many times as fast as the fastest contender the upstream must be."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. Times in seconds."""

    rounds: int = 5
    connections: tuple[int, ...] = (1, 8, 32, 128)
    warm_up: float = 6.0
    load: float = 2.0
    starts: int = 3
    requests: int = 20_000
    growth: int = 200_000
    stream_rounds: int = 3
    streams: int = 200
    words: int = 100
    interval: float = 0.1
    ramp: float = 5.0
    window: float = 10.0


QUICK = Plan(
    rounds=1,
    warm_up=2.0,
    load=2.0,
    starts=1,
    requests=1_500,
    growth=0,
    stream_rounds=1,
    words=40,
    ramp=4.0,
    window=4.0,
)


@dataclass(frozen=True, slots=True)
class Streams:
    """What one run of concurrent streams found."""

    first_byte_p50_ms: float
    first_byte_p99_ms: float
    answers: int
    chunks: int
    seconds: float
    cpu_seconds: float

    @property
    def cpu_per_thousand(self) -> float:
        """CPU seconds of the server per 1,000 chunks."""
        return self.cpu_seconds / self.chunks * 1_000


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until the first answer, and the memory once it was given."""

    seconds: float
    memory: Memory


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory after so many requests."""

    requests: int
    memory: Memory


@dataclass(slots=True)
class Found:
    """All that was measured of one contender, round by round."""

    loads: dict[int, list[Load]] = field(default_factory=dict)
    streams: list[Streams] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    used: Sample | None = None
    growth: list[Sample] = field(default_factory=list)


Findings = dict[str, Found]


class Bench:
    """Carries out a plan for some contenders against one upstream."""

    def __init__(
        self,
        plan: Plan,
        contenders: Sequence[Contender],
        upstream: Server,
        say: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.contenders = contenders
        self.upstream = upstream
        self.findings: Findings = {contender.name: Found() for contender in contenders}
        self.upstream_rates: list[float] = []
        self._url = f"http://127.0.0.1:{upstream.port}/v1"
        self._say = say
        self._stopped = False

    def start(self) -> None:
        """Starts every contender some times, each alone, and asks until it answers."""
        for number in range(self.plan.starts):
            for contender in self.contenders:
                with self._client(contender) as client:
                    start = Start(client.wait_for_answer(), client.server.memory())
                self.findings[contender.name].starts.append(start)
                self._say(
                    f"start {number + 1}: {contender.name} answered after {start.seconds:.2f} s,"
                    f" {start.memory.pss / 2**20:.0f} MiB"
                )

    def under_load(self, *, throughput: bool, streaming: bool) -> None:
        """Throughput and streaming, on servers that all stay up."""
        with ExitStack() as stack:
            clients = {}
            for contender in self.contenders:
                client = stack.enter_context(self._client(contender))
                client.wait_for_answer()
                prove(client, contender)
                clients[contender.name] = client
            self._say(f"answers are right: {', '.join(clients)}")
            upstream = Client(self.upstream, {})
            if throughput:
                self._throughput(clients, upstream)
            if streaming:
                self._streaming(clients)

    def _throughput(self, clients: dict[str, Client], upstream: Client) -> None:
        rates = {
            name: client.load(HEADLINE, self.plan.warm_up).rate for name, client in clients.items()
        }
        upstream.load(HEADLINE, 1)
        for number in range(self.plan.rounds):
            self.upstream_rates.append(upstream.load(HEADLINE, 2).rate)
            self._say(f"round {number + 1}: upstream {self.upstream_rates[-1]:,.0f}/s")
            for connections in self.plan.connections:
                for name in _turned(list(clients), number):
                    least = LEAST_REQUESTS * connections / rates[name]
                    seconds = max(self.plan.load, min(least, LONGEST_LOAD))
                    wait_until_idle([client.server for client in clients.values()])
                    load = _undisturbed(clients[name], connections, seconds)
                    self.findings[name].loads.setdefault(connections, []).append(load)
                    self._say(
                        f"round {number + 1}: {name}, {connections} connections:"
                        f" {load.rate:,.0f}/s, p50 {load.p50_ms:.2f} ms, p99 {load.p99_ms:.2f} ms"
                    )
            if self.upstream_factor() < UPSTREAM_FACTOR:
                raise BenchError(
                    f"the upstream is only {self.upstream_factor():.1f} times as fast as the"
                    f" fastest contender, not {UPSTREAM_FACTOR}: is the machine busy?"
                )

    def upstream_factor(self) -> float:
        """How many times as fast as the fastest contender the upstream is."""
        rates = [
            median(load.rate for load in loads)
            for found in self.findings.values()
            for loads in found.loads.values()
        ]
        return median(self.upstream_rates) / max(rates)

    def _streaming(self, clients: dict[str, Client]) -> None:
        for number in range(self.plan.stream_rounds):
            for name in _turned(list(clients), number):
                wait_until_idle([client.server for client in clients.values()])
                streams = self._stream(clients[name])
                self.findings[name].streams.append(streams)
                self._say(
                    f"round {number + 1}: {name}, {self.plan.streams} streams:"
                    f" first byte p50 {streams.first_byte_p50_ms:.1f} ms,"
                    f" {streams.cpu_per_thousand * 1e3:.0f} ms CPU per 1,000 chunks"
                )

    def _stream(self, client: Client) -> Streams:
        plan, server = self.plan, client.server
        options = {
            "port": server.port,
            "path": PATH,
            "headers": json.dumps(client.headers),
            "streams": plan.streams,
            "words": plan.words,
            "ramp": plan.ramp,
            "seconds": plan.window,
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "bench.streams", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                cpu, began = server.cpu_seconds(), time.perf_counter()
                if line.startswith("steady"):
                    line = process.stdout.readline()
                spent, seconds = server.cpu_seconds() - cpu, time.perf_counter() - began
            finally:
                process.kill()
        server.check()
        if not line.startswith("{"):
            raise BenchError(f"{server.name}: the streaming client broke off")
        result = json.loads(line)
        if result["faults"] or len(result["first_byte_ms"]) < 2:
            faults = result["faults"] or "no answer began in the window"
            raise BenchError(f"{server.name}: streams failed: {faults}\n{server.last_words()}")
        cuts = quantiles(result["first_byte_ms"], n=100, method="inclusive")
        return Streams(
            first_byte_p50_ms=cuts[49],
            first_byte_p99_ms=cuts[98],
            answers=len(result["first_byte_ms"]),
            chunks=result["chunks"],
            seconds=seconds,
            cpu_seconds=spent,
        )

    def memory(self) -> None:
        """Memory after many requests. Two at a time: memory doesn't mind, and the slowest is slow.

        The slowest contender, by what throughput found, has one of the two places to itself.
        """
        names = sorted(self.findings, key=self._rate)
        contenders = {contender.name: contender for contender in self.contenders}
        with ThreadPoolExecutor(2) as pool:
            uses = [pool.submit(self._use, contenders[name]) for name in names]
            try:
                for use in as_completed(uses):
                    use.result()
            except BaseException:
                self._stopped = True
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _rate(self, name: str) -> float:
        loads = self.findings[name].loads.get(HEADLINE, [])
        return median(load.rate for load in loads) if loads else float(name != "litellm")

    def _use(self, contender: Contender) -> None:
        found = self.findings[contender.name]
        with self._client(contender) as client:
            client.wait_for_answer()
            requests = self._send(client, self.plan.requests)
            found.used = Sample(requests, client.server.memory())
            self._say(
                f"memory: {contender.name} {found.used.memory.pss / 2**20:.0f} MiB"
                f" after {requests:,} requests"
            )
            if contender is not DIRECT or not self.plan.growth:
                return
            found.growth.append(Sample(0, found.used.memory))
            while (sent := found.growth[-1].requests) < self.plan.growth:
                sent += self._send(client, min(self.plan.growth // 20, self.plan.growth - sent))
                found.growth.append(Sample(sent, client.server.memory()))
            self._say(
                f"growth: {contender.name} {growth(found.growth):+.1%} over {sent:,} requests"
            )

    def _send(self, client: Client, least: int) -> int:
        """Sends at least so many requests; how many it were."""
        sent = 0
        seconds = 3.0
        while sent < least:
            if self._stopped:
                raise BenchError("another measurement failed")
            load = client.load(HEADLINE, seconds)
            sent += load.requests
            seconds = max(1.0, min(10.0, (least - sent) / load.rate))
        return sent

    @contextmanager
    def _client(self, contender: Contender) -> Iterator[Client]:
        with contender.running(self._url) as server:
            yield Client(server, contender.headers(self._url))


def growth(samples: Sequence[Sample]) -> float:
    """How much the memory grew from the first sample to the last, as a share of the first."""
    return samples[-1].memory.pss / samples[0].memory.pss - 1


def _undisturbed(client: Client, connections: int, seconds: float) -> Load:
    """A load during which the machine was ours; of some that others disturbed, the least so."""
    loads: list[Load] = []
    while len(loads) < LOAD_TRIES:
        loads.append(client.load(connections, seconds))
        if loads[-1].stolen <= MOST_STOLEN:
            break
    return min(loads, key=lambda load: load.stolen)


def _turned(names: list[str], by: int) -> list[str]:
    """Another first one each round: who follows whom then differs."""
    by %= len(names)
    return names[by:] + names[:by]
