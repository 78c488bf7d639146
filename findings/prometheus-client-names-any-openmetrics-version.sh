#!/usr/bin/env bash
# An exposition claims to be any version of OpenMetrics that the client asks for, but is always 1.0.0.
#
# Software:  prometheus_client 0.26.0
# Expected:  the Content-Type of an answer names the version in which its bytes are written.
# Happens:   the answer names a version that does not exist. Its bytes are the same as for 1.0.0.
# Matters:   Prometheus can be configured to ask for OpenMetrics 2.0.0 first. It then parses the answer as that
#            version, or refuses it, and the target counts as down.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check prometheus-client==0.26.0
cd "$folder"
cat >finding.py <<'PYTHON'
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import choose_encoder

registry = CollectorRegistry()
Counter("reads", "Reads.", registry=registry).inc()
answers = {}
for version in ("1.0.0", "7.3.1"):
    encode, content_type = choose_encoder(f"application/openmetrics-text; version={version}")
    text = "\n".join(line for line in encode(registry).decode().splitlines() if "_created" not in line)
    answers[version] = content_type, text
    print(f"asked for {version}: {content_type}")
same = answers["1.0.0"][1] == answers["7.3.1"][1]
print(f"the same bytes: {same}")
if "version=7.3.1" not in answers["7.3.1"][0] or not same:
    raise SystemExit("CHANGED: the version that is named is one that is written")
PYTHON
timeout 60 venv/bin/python finding.py
