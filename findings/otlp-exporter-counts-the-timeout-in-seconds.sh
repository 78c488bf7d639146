#!/usr/bin/env bash
# The specification defines OTEL_EXPORTER_OTLP_TIMEOUT in milliseconds, and the Python exporter reads it in seconds.
#
# Software:  opentelemetry-exporter-otlp-proto-http 1.45.1
# Expected:  with OTEL_EXPORTER_OTLP_TIMEOUT=3 an export gives up after three milliseconds, as in the specification of
#            the OTLP exporter and in the exporters of other languages.
# Happens:   it waits for three seconds. For the usual 3000 it would wait for 50 minutes.
# Matters:   if a platform sets one value for all its services, it means three seconds in some languages and fifty
#            minutes in Python. While a collector hangs, nothing is logged, and spans that do not fit into the queue
#            are dropped.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-exporter-otlp-proto-http==1.45.1
cd "$folder"
cat >finding.py <<'PYTHON'
import os
import socket
import time

silent = socket.create_server(("127.0.0.1", 0))  # takes connections, and never answers
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
os.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "3"

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
began = time.monotonic()
with provider.get_tracer("finding").start_as_current_span("span"):
    pass
took = time.monotonic() - began
print(f"OTEL_EXPORTER_OTLP_TIMEOUT=3: the export gave up after {took:.1f} s")
if took < 2:
    raise SystemExit("CHANGED: the variable is read as milliseconds")
PYTHON
timeout 120 venv/bin/python finding.py 2>/dev/null
