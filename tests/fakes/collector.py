"""A collector of OpenTelemetry: takes export requests of traces, by HTTP and protobuf.

Source: the OpenTelemetry protocol (OTLP) 1.x, "OTLP/HTTP".
"""

from __future__ import annotations

import gzip
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from .recorded import Recorded
from .reply import Exchange, Reply
from .server import FakeProvider, Route


class FakeCollector(FakeProvider):
    name = "collector"

    def routes(self) -> list[Route]:
        return [("POST", "/v1/traces", self._taken)]

    def _taken(self, x: Exchange) -> Reply:
        _decoded(x.recorded)
        body = ExportTraceServiceResponse().SerializeToString()
        return Reply(200, body, "application/x-protobuf")

    def error(self, status: int, message: str = "") -> Reply:
        return Reply(status, (message or "refused").encode(), "text/plain")

    @property
    def resources(self) -> list[dict[str, Any]]:
        """What was exported, as OTLP's JSON has it: ids in hexadecimal."""
        return [each for request in self.requests for each in _json(_decoded(request))]

    @property
    def spans(self) -> list[dict[str, Any]]:
        """All spans, with their attributes as a plain object, in the order in which they began."""
        found = [
            span | {"attributes": {a["key"]: _plain(a["value"]) for a in span["attributes"]}}
            for resource in self.resources
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        return sorted(found, key=lambda span: int(span["startTimeUnixNano"]))


def _decoded(request: Recorded) -> ExportTraceServiceRequest:
    zipped = request.headers.get("content-encoding") == "gzip"
    body = gzip.decompress(request.body) if zipped else request.body
    return ExportTraceServiceRequest.FromString(body)


def _json(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    told = MessageToDict(request)["resourceSpans"]
    of_wire = [s for r in request.resource_spans for g in r.scope_spans for s in g.spans]
    of_json = [s for r in told for g in r["scopeSpans"] for s in g["spans"]]
    for span, written in zip(of_wire, of_json, strict=True):
        written |= {"traceId": span.trace_id.hex(), "spanId": span.span_id.hex()}
        if span.parent_span_id:
            written["parentSpanId"] = span.parent_span_id.hex()
        written.setdefault("attributes", [])
    return list(told)


def _plain(value: dict[str, Any]) -> Any:
    ((kind, held),) = value.items()
    return int(held) if kind == "intValue" else held
