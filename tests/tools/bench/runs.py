"""A made-up run with every row of every group."""

from bench.catalogue_import import CatalogueImport, CatalogueValidation
from bench.groups import GROUPS, Group, Table
from bench.loop_blocking import LoopBlocking
from bench.memory import Memory
from bench.neighbours import Neighbours
from bench.results import Run, sum_up
from bench.samples import Sample

ROUNDS = 10


def complete(*, without: str = "", rounds: int = ROUNDS) -> Run:
    """Return a run of all groups except one; each row has other figures."""
    measured = {group.name: _samples(group, rounds) for group in GROUPS if group.name != without}
    return sum_up(measured, {"reads": {"Sanic": 0.75, "PyMongo": 0.25}, "loads": {"PyMongo": 1.0}})


def _samples(group: Group, rounds: int) -> dict[str, list[Sample]]:
    return {
        name: [_sample(table, place, number) for number in range(rounds)]
        for table in group.tables
        for place, name in enumerate(table.part.references, start=1)
    }


def _sample(table: Table, place: int, number: int) -> Sample:
    if table.compared == "p50":
        return Sample(p50=place, p99=3 * place)
    if isinstance(table.part, CatalogueImport | CatalogueValidation):
        return Sample(rate=40_000 - 1000 * place + number)
    if isinstance(table.part, Neighbours):
        return Sample(p50=place, p99=3, lost=0)
    if isinstance(table.part, Memory):
        return Sample(memory=600)
    if isinstance(table.part, LoopBlocking):
        return Sample(blocked=place)
    return Sample(rate=20_000 / place + number, p50=place, p99=3 * place, processor=100 * place, memory=place)
