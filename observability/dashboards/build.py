"""Writes the JSON files that Grafana reads: `python -m observability.dashboards.build`."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from observability.dashboards import dependencies, load_test, service

# The chart is packaged alone, so the files that it installs are in its own folder.
_FOLDER = Path(__file__).parents[2] / "charts" / "mylist" / "files" / "dashboards"


def files() -> dict[Path, str]:
    """Return each file with its expected text."""
    dashboards = {
        "service.json": service.DASHBOARD,
        "dependencies.json": dependencies.DASHBOARD,
        "load-test.json": load_test.DASHBOARD,
    }
    return {
        _FOLDER / name: json.dumps(dashboard, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"
        for name, dashboard in dashboards.items()
    }


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
