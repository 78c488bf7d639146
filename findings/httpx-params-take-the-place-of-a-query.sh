#!/usr/bin/env bash
# `params=` removes the query of the URL, even if it is an empty dictionary.
#
# Software:  httpx 0.28.1
# Expected:  params are added to the query of the URL, as in requests. An empty dictionary adds nothing.
# Happens:   params replace the query of the URL. {} removes it, None keeps it. A next-page link that is followed with
#            params={"limit": 2} loses its cursor and returns the first page, with status 200.
# Matters:   a client that follows Link headers and passes its usual params reads the first page for ever, or exports
#            only that page. Nothing raises or logs.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1
cd "$folder"
cat >finding.py <<'PYTHON'
import httpx

client = httpx.Client(base_url="http://service/")
link = "/items?cursor=abc"
urls = {
    "none": client.build_request("GET", link, params=None).url.query,
    "empty": client.build_request("GET", link, params={}).url.query,
    "limit": client.build_request("GET", link, params={"limit": 2}).url.query,
}
print(f"query of {link}: {urls}")
if urls != {"none": b"cursor=abc", "empty": b"", "limit": b"limit=2"}:
    raise SystemExit("CHANGED: the query of the URL is kept")
PYTHON
timeout 60 venv/bin/python finding.py
