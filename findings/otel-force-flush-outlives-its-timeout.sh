#!/usr/bin/env bash
# force_flush(1000) takes several seconds and returns True, though nothing was delivered.
#
# Software:  opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http 1.45.1
# Expected:  force_flush(timeout_millis=1000) ends after a second, and returns False if the spans could not be
#            delivered.
# Happens:   against a collector that answers 503, force_flush ignores its own timeout and retries until the
#            exporter's timeout has passed. It logs the failure and returns True.
# Matters:   a shutdown that flushes with a time limit exceeds it (10 s with the exporter's default) and is killed
#            while requests drain. Only the exporter's own timeout limits it.
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

Collector.status = 503
flushed, seconds, said = flush(1000, timeout=10)
print(f"force_flush(1000) took {seconds:.1f} s and returned {flushed}; the log: {said[-1]!r}")
if seconds < 3 or flushed is not True:
    raise SystemExit("CHANGED: the timeout is kept, or the failure is returned")
PYTHON
timeout 60 venv/bin/python finding.py
