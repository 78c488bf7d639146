"""Makes the pictures of docs/pictures, or only the named ones: `.venv/bin/python -m tests.observability.pictures`.

It needs `chromium` and `prometheus`. The dashboards' panels are drawn from the queries of the chart's dashboards, which
a real Prometheus answers; it scrapes a service under load, whose Redis is suspended for a while. Grafana is not used.
The picture of the load test shows the report of its last run in build/loadtest.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pygal  # type: ignore[import-untyped]
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from devtools.service_process import Service, environment
from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running
from tests.conftest import PATIENT
from tests.contract.titles import MOVIE_IDS
from tests.observability.prometheus import Prometheus

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
_DASHBOARDS = ROOT / "charts" / "mylist" / "files" / "dashboards"
_REPORTS = ROOT / "build" / "loadtest"
_LOAD_S = 60
_SUSPENDED = range(30, 40)
"""Seconds of the load in which Redis does not answer."""
_CLIENTS = 4
_STEP_S = 2
_PATIENCE_S = 120
_MAX_LINES = 6
"""A panel shows at most so many lines: those with the highest values."""
_VARIABLES = {
    "$__rate_interval": "10s",
    **dict.fromkeys(("$cluster", "$namespace", "$job", "$pod", "$mongodb_job", "$redis_job", "$deployment"), ".*"),
}
_PANELS = {
    "service": (
        "Requests by route",
        "99 % of the requests take at most (p99)",
        "Reads by result",
        "Hit ratio",
        "Processes that reach the stores",
        "Changes by outcome",
    ),
    "dependencies": (
        "MongoDB: operations",
        "MongoDB: 99 % of the operations take at most",
        "Redis: operations",
        "Redis: 99 % of the operations take at most",
        "Redis: operations that fail",
        "In use, of the limit",
    ),
}
_PAGE = """<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; padding: 6px; background: #f4f5f5; display: grid; grid-template-columns: 1fr 1fr; gap: 6px }
  div { background: white }
</style>"""
_UNITS = {"s": (1000, "ms"), "percentunit": (100, "%"), "reqps": (1, "per second"), "ops": (1, "per second")}
"""For each unit of Grafana: the factor for its values, and the name of the resulting unit."""


@dataclass(frozen=True)
class Line:
    """A series of a panel: its name, and its values by the second of the run."""

    name: str
    points: Sequence[tuple[float, float]]


def main() -> None:
    """Make the pictures that the command line names, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="*", choices=["docs", "dashboards", "loadtest"])
    wanted = parser.parse_args().pictures or ["docs", "dashboards", "loadtest"]
    FOLDER.mkdir(exist_ok=True)
    if "loadtest" in wanted:
        newest = max(_REPORTS.glob("*.html"), key=lambda path: path.stat().st_mtime)
        screenshot(newest.as_uri(), FOLDER / "loadtest.png", 1000, 1000, wait_for="canvas")
    if {"docs", "dashboards"} & set(wanted):
        with service() as (url, valkey, folder):
            if "docs" in wanted:
                screenshot(f"{url}/docs", FOLDER / "docs.png", 1000, 900, wait_for=".opblock")
            if "dashboards" in wanted:
                dashboards(url, valkey, folder)


@contextmanager
def service() -> Iterator[tuple[str, ValkeyServer, Path]]:
    """Run a service with the sample data; yield its address, its Redis and a folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mylist-pictures-")))
        mongodb, valkey = MongoServer(folder / "mongodb"), ValkeyServer(folder / "valkey")
        stack.enter_context(running(mongodb, valkey))
        settings = {
            "MONGODB_URI": mongodb.database("mylist-ott"),
            "REDIS_URL": valkey.uri,
            "LOG_LEVEL": "error",
            **PATIENT,
        }
        subprocess.run([sys.executable, "-m", "mylist", "seed"], check=True, cwd=folder, env=environment(settings))
        process = Service(folder, settings)
        stack.callback(process.stop)
        process.wait_until_ready()
        yield process.url, valkey, folder


def dashboards(url: str, valkey: ValkeyServer, folder: Path) -> None:
    """Draw the panels of each dashboard after a run under load."""
    address = url.removeprefix("http://")
    prometheus = Prometheus(folder, {"mylist": (f"{address}/metrics", {"pod": "mylist-0", "namespace": "mylist"})})
    try:
        began = time.time()
        load(url, valkey)
        ended = time.time()
        for name, titles in _PANELS.items():
            dashboard = json.loads((_DASHBOARDS / f"{name}.json").read_text())
            panels = {panel["title"]: panel for panel in panels_of(dashboard)}
            pictures = [draw(panels[title], prometheus, began, ended) for title in titles]
            page = folder / f"{name}.html"
            page.write_text(_PAGE + "".join(f"<div>{picture}</div>" for picture in pictures))
            screenshot(page.as_uri(), FOLDER / f"dashboard-{name}.png", 1000, 940)
    finally:
        prometheus.stop()


def load(url: str, valkey: ValkeyServer) -> None:
    """Read lists and change them, mostly read, and suspend Redis for a while."""
    end = time.monotonic() + _LOAD_S

    def visit(number: int) -> None:
        draw_user = random.Random(number)
        with httpx.Client(base_url=f"{url}/api/mylist", trust_env=False, timeout=10) as client:
            while time.monotonic() < end:
                headers = {"user-id": f"user-{draw_user.randrange(40)}"}
                movie = {"contentId": draw_user.choice(MOVIE_IDS), "contentType": "movie"}
                if draw_user.random() < 0.1:
                    client.post("/add", json=movie, headers=headers)
                    client.get("/stats", headers=headers)
                elif draw_user.random() < 0.05:
                    client.delete(f"/items/{movie['contentId']}", headers=headers)
                client.get("/items", headers=headers)
                time.sleep(0.02)

    with ThreadPoolExecutor(_CLIENTS) as pool:
        visits = [pool.submit(visit, number) for number in range(_CLIENTS)]
        time.sleep(_SUSPENDED.start)
        valkey.freeze()
        time.sleep(len(_SUSPENDED))
        valkey.thaw()
        for each in visits:
            each.result()


def panels_of(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the panels of a dashboard, those in its rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panels_of({"panels": panel.get("panels") or []})


def draw(panel: Mapping[str, Any], prometheus: Prometheus, began: float, ended: float) -> str:
    """Draw a panel as SVG."""
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
    factor, name = _UNITS.get(unit, (1, ""))
    chart = pygal.XY(
        title=f"{panel['title']}{name and f' ({name})'}",
        width=490,
        height=300,
        stroke_style={"width": 2},
        show_dots=False,
        range=(0, None),
        y_labels_major_count=4,
        show_minor_y_labels=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        truncate_legend=26,
        js=[],
        disable_xml_declaration=True,
        style=pygal.style.CleanStyle(
            title_font_size=15, legend_font_size=11, label_font_size=10, background="white", font_family="sans-serif"
        ),
    )
    found = sorted(lines(panel, prometheus, began, ended), key=lambda line: -max(value for _, value in line.points))
    for line in found[:_MAX_LINES]:
        chart.add(line.name, [(second, value * factor) for second, value in line.points])
    return str(chart.render())


def lines(panel: Mapping[str, Any], prometheus: Prometheus, began: float, ended: float) -> Iterator[Line]:
    """Ask Prometheus for the series of a panel."""
    for target in panel["targets"]:
        expression = target["expr"]
        for variable, value in _VARIABLES.items():
            expression = expression.replace(variable, value)
        for series in prometheus.query_range(expression, began, ended, _STEP_S):
            legend = target["legendFormat"]
            for label, value in series["metric"].items():
                legend = legend.replace(f"{{{{{label}}}}}", value)
            name = legend.replace("{{cluster}}", "").replace("{{instance}}", "").strip()
            values = [(moment - began, float(value)) for moment, value in series["values"] if value != "NaN"]
            if values:
                yield Line(name, values)


def screenshot(url: str, path: Path, width: int, height: int, *, wait_for: str = "body") -> None:
    """Write a picture of a page as Chromium shows it, once it has an element of this selector."""
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in (
        "--headless",
        "--no-sandbox",  # a sandbox needs rights that a container and root lack; the pages are the project's own
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    with Chrome(options, Driver(shutil.which("chromedriver"))) as browser:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(url)
        WebDriverWait(browser, _PATIENCE_S).until(lambda _: browser.find_elements(By.CSS_SELECTOR, wait_for))
        time.sleep(2)  # the drawing moves at first
        browser.save_screenshot(str(path))


if __name__ == "__main__":
    main()
