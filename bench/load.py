"""Requests in number through wrk, and single ones to see that answers are right."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .contenders import PATH, Contender
from .exchange import ANSWER, WORD, question
from .installation import BUILD
from .processes import BenchError, Processors, Server

SLOWEST_ANSWER = 120
"""Seconds after which wrk counts a request as failed."""

POLL = 0.004
LONGEST_START = 120.0
LONGEST_REFUSAL = 20.0

REPORT = """
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"p50":%.1f,"p90":%.1f,"p99":%.1f,"most":%.1f,' ..
    '"failed":%d}\\n', summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(90), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


IN_TURN = """
local requests, number = {}, 0
function init(args)
  for line in io.lines(path) do
    requests[#requests + 1] = wrk.format(nil, nil, nil, line)
  end
end
function request()
  number = number % #requests + 1
  return requests[number]
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk found. Latencies in milliseconds.

    stolen: the share of the machine's time that its host gave to others meanwhile.
    """

    connections: int
    requests: int
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    most_ms: float
    cpu_seconds: float
    stolen: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Client:
    """A client of one running server: knows what to send to it."""

    def __init__(
        self,
        server: Server,
        headers: Mapping[str, str],
        *,
        name: str = "",
        bodies: Sequence[bytes] = (),
    ) -> None:
        """bodies: what is sent, one after the other and again from the first; else one question.

        name: what tells this client's script from that of another of the same server.
        """
        self.server = server
        self.headers = dict(headers)
        self._body = bodies[0] if bodies else question()
        self._script = self._write_script(name or server.name, bodies)

    def load(self, connections: int, seconds: float) -> Load:
        """Sends requests over that many connections. Raises BenchError when any fails."""
        cpu, machine = self.server.cpu_seconds(), Processors.now()
        done = subprocess.run(
            [
                *("wrk", "--threads", "1", "--connections", str(connections)),
                *("--duration", f"{max(1, round(seconds))}s", "--timeout", f"{SLOWEST_ANSWER}s"),
                *("--script", str(self._script), f"http://127.0.0.1:{self.server.port}{PATH}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        self.server.check()
        found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
        if not found:
            raise BenchError(f"wrk said nothing of {self.server.name}: {done.stdout}{done.stderr}")
        figures = json.loads(found[1])
        if figures["failed"] or not figures["requests"]:
            raise BenchError(
                f"{self.server.name}: {figures['failed']} of {figures['requests']} requests failed"
                f" at {connections} connections:\n{self.server.last_words()}"
            )
        return Load(
            connections=connections,
            requests=figures["requests"],
            seconds=figures["microseconds"] / 1e6,
            p50_ms=figures["p50"] / 1e3,
            p90_ms=figures["p90"] / 1e3,
            p99_ms=figures["p99"] / 1e3,
            most_ms=figures["most"] / 1e3,
            cpu_seconds=self.server.cpu_seconds() - cpu,
            stolen=Processors.now().stolen_since(machine),
        )

    def ask(self, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """One request on a connection of its own: the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request("POST", PATH, body, {**self.headers, **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait_for_answer(self) -> float:
        """Asks every few milliseconds until an answer comes; the seconds since the start.

        Raises BenchError when it ends, stays silent, or goes on refusing once it listens.
        """
        body = self._body
        deadline = time.perf_counter() + LONGEST_START
        refusal = ""
        while time.perf_counter() < deadline:
            self.server.check()
            try:
                status, answer = self.ask(body)
            except OSError:
                time.sleep(POLL)
                continue
            if status == 200:
                return time.perf_counter() - self.server.spawned
            if not refusal:
                deadline = time.perf_counter() + LONGEST_REFUSAL
            refusal = f"{status} {answer[:300]!r}"
            time.sleep(POLL)
        last = f"{refusal or 'it does not listen'}\n{self.server.last_words()}"
        raise BenchError(f"{self.server.name} does not answer: {last}")

    def _write_script(self, name: str, bodies: Sequence[bytes]) -> Path:
        lines = ['wrk.method = "POST"', f"wrk.body = {_lua(question())}"]
        lines += [f'wrk.headers["{field}"] = "{value}"' for field, value in self.headers.items()]
        if bodies:
            path = BUILD / f"load-{name}.txt"
            path.write_bytes(b"\n".join(bodies))
            lines += [f"local path = {_lua(str(path).encode())}", IN_TURN]
        path = BUILD / f"load-{name}.lua"
        path.write_text("\n".join(lines) + REPORT)
        return path


def _lua(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'


def prove(client: Client, contender: Contender) -> None:
    """Raises BenchError unless the real answer comes through, whole and streamed."""
    status, answer = client.ask(question())
    content = status == 200 and json.loads(answer)["choices"][0]["message"]["content"]
    if content != ANSWER:
        raise BenchError(f"{contender.name} answers wrongly: {status} {answer[:500]!r}")

    words = 5
    status, answer = client.ask(question(stream=True, max_tokens=words))
    if status != 200 or streamed_text(answer) != WORD * words:
        raise BenchError(f"{contender.name} streams wrongly: {status} {answer[:500]!r}")

    if contender.checks_key:
        status, answer = client.ask(question(), {"authorization": "Bearer sk-wrong"})
        if status not in {400, 401, 403}:
            raise BenchError(f"{contender.name} does not refuse a wrong key: {status}")


def streamed_text(answer: bytes) -> str:
    """The text of a whole stream of chat chunks; empty when its end is missing."""
    events = [line[6:] for line in answer.split(b"\n") if line.startswith(b"data: ")]
    if not events or events[-1].strip() != b"[DONE]":
        return ""
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
