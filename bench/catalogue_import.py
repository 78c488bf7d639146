"""`mylist catalogue import`, measured in a process of its own (`bench.catalogue_import_process`)."""

import subprocess
import sys
from dataclasses import dataclass

import msgspec

from bench.environment import Environment
from bench.samples import Sample

BULK_WRITE, IMPORT = "bulk_write of 10,000 documents", "import of the same titles"
VALIDATED = {"JSON Lines": "validated: JSON Lines", "CSV": "validated: CSV", "IMDb": "validated: IMDb's TSV"}
"""The rows of the formats."""
TITLES = 10_000
_TIMEOUT_S = 300
"""Seconds; the embedded server took minutes to import the titles and to drop two databases, late in a run."""


def _measure(environment: Environment, what: str) -> dict[str, Sample]:
    command = [sys.executable, "-m", "bench.catalogue_import_process", what, environment.mongodb_uri]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_TIMEOUT_S)
    return msgspec.json.decode(done.stdout, type=dict[str, Sample])


@dataclass(frozen=True, slots=True)
class CatalogueImport:
    """Titles brought into an empty catalogue: by the driver alone, and by an import."""

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        return {BULK_WRITE: None, IMPORT: BULK_WRITE}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        return _measure(environment, "written")


@dataclass(frozen=True, slots=True)
class CatalogueValidation:
    """Titles read and validated, without a catalogue."""

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each compared with none."""
        return dict.fromkeys(VALIDATED.values())

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        return _measure(environment, "validated")
