"""Writes the JSON files that Grafana reads: `python -m observability.dashboards.build`."""

import json
from pathlib import Path

from observability.dashboards import dependencies, load_test, service

_FOLDER = Path(__file__).parent


def files() -> dict[Path, str]:
    """Gives each file with what it has to hold."""
    dashboards = {
        "service.json": service.DASHBOARD,
        "dependencies.json": dependencies.DASHBOARD,
        "load-test.json": load_test.DASHBOARD,
    }
    return {
        _FOLDER / name: json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"
        for name, dashboard in dashboards.items()
    }


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
