#!/usr/bin/env bash
# If a collector reports that it rejected every span, the exporter does not report it, not even in its log.
#
# Software:  opentelemetry-exporter-otlp-proto-http and opentelemetry-sdk 1.45.1
# Expected:  an answer with partial_success (rejected_spans, error_message) is logged as a warning. The OTLP
#            specification requires this of clients.
# Happens:   the status is 200, so the exporter does not read the body. It logs nothing of "quota exceeded" at any
#            level, and force_flush() returns True.
# Matters:   if a vendor's quota or a filter rejects spans, the service looks as if it had no traffic. Only the
#            collector's own metrics show it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.1 opentelemetry-exporter-otlp-proto-http==1.45.1
cd "$folder"
cat >finding.py <<'PYTHON'
import http.server, logging, threading, time
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status, body = 200, b""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass

collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=collector.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"

class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())

lines = Lines()
logging.getLogger().addHandler(lines)
logging.getLogger().setLevel(logging.DEBUG)

def flush(timeout_ms, **exporter):
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, **exporter)))
    for _ in range(3):
        with provider.get_tracer("finding").start_as_current_span("span"):
            pass
    lines.lines.clear()
    began = time.monotonic()
    return provider.force_flush(timeout_ms), time.monotonic() - began, list(lines.lines)

answer = ExportTraceServiceResponse()
answer.partial_success.rejected_spans = 3
answer.partial_success.error_message = "quota exceeded"
Collector.body = answer.SerializeToString()
flushed, _, said = flush(5000)
said = [line for line in said if "quota" in line or "reject" in line.lower() or "partial" in line.lower()]
print(f"3 of 3 spans rejected; force_flush: {flushed}; lines about it in the log: {said}")
if said or not flushed:
    raise SystemExit("CHANGED: the rejection is told")
PYTHON
timeout 60 venv/bin/python finding.py
