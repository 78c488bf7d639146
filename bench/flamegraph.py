"""A flame graph of the service under load, recorded by py-spy from outside."""

import xml.etree.ElementTree as ET
from pathlib import Path

from bench import py_spy, wrk
from bench.environment import Environment
from bench.groups import ITEMS
from bench.throughput import load as load_of

_DURATION_S = 10
_WARM_UP_S = 2
_SVG = "http://www.w3.org/2000/svg"
_INFERNO = "{http://github.com/jonhoo/inferno}"
# Parts of the picture that need a script.
_CONTROLS = {"details", "search", "unzoom", "matched"}


def record(environment: Environment, picture: Path) -> None:
    """Record the service while it serves pages of 20, and write the flame graph.

    Raises:
        ProfileError: py-spy has no permission to read another process here.
        WrkError: wrk is not installed.
    """
    service = environment.service(ITEMS.server)
    load = wrk.start(load_of(environment, ITEMS), seconds=_DURATION_S + 2 * _WARM_UP_S)
    try:
        of = ["--pid", str(service.process.pid)]
        py_spy.finish(py_spy.start(picture, "--duration", str(_DURATION_S), of=of))
    finally:
        load.terminate()
        load.communicate()
    picture.write_text(tidied(picture.read_text(), f"items, 20: {ITEMS.connections} connections, {_DURATION_S} s"))


def tidied(graph: str, title: str) -> str:
    """Make a static picture of a flame graph: without scripts and their controls."""
    ET.register_namespace("", _SVG)
    root = ET.fromstring(graph)  # noqa: S314 - what py-spy has just written
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}script" or child.get("id") in _CONTROLS:
                parent.remove(child)
        parent.attrib.pop("onload", None)
        for name in [name for name in parent.attrib if name.startswith(_INFERNO)]:
            del parent.attrib[name]
        if parent.get("id") == "title":
            parent.text = title
    return ET.tostring(root, encoding="unicode") + "\n"
