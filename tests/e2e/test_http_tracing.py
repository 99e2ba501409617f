"""Traces over OTLP, where the operator sets an endpoint."""

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.origin import Origin
from tests.support.service import Service, image_path

PATH = image_path("http://news.example/pictures/a.jpg", "600x400")
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Takes spans over OTLP and HTTP, as any tracing backend does."""

    def __init__(self) -> None:
        self.spans: queue.Queue[tuple[dict[str, object], Span]] = queue.Queue()
        collector = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    named = {one.key: one.value.string_value for one in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        for span in scope.spans:
                            collector.spans.put((named, span))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_every_request_is_a_span_in_the_trace_of_its_caller(collector: Collector) -> None:
    with Origin() as origin:
        service = Service(origin)
        service.environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with service:
            assert service.get(PATH).status == 200
            # A hit from memory, and a failure.
            assert (
                service.get(PATH, traceparent=f"00-{TRACE}-{PARENT}-01", X_Request_ID="traced-1").status
                == 200
            )
            assert service.get("/img/unsafe/banana/aHR0cA").status == 400

            received = [collector.spans.get(timeout=20) for _ in range(3)]

    first, second, third = (span for _, span in received)
    assert {named["service.name"] for named, _ in received} == {"mediasvc"}
    for span in (first, second, third):
        assert span.name == "GET /img/{signature}/{options}/{source}"
    assert (second.trace_id.hex(), second.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(second)["mediasvc.request_id"] == "traced-1"
    assert attributes(first)["mediasvc.source_host"] == "news.example"
    assert [attributes(span)["http.response.status_code"] for span in (first, second, third)] == [
        200,
        200,
        400,
    ]


def attributes(span: Span) -> dict[str, object]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
