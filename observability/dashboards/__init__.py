"""The Grafana dashboards as code, and the JSON files that are built from it."""
