"""Imports of titles beside a bare `bulk_write` of the same documents, and their validation alone.

python -m bench.catalogue_import_process written|validated MONGODB_URI

Prints a JSON object: a sample for each row.
"""

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec
import pymongo
import uvloop
from pymongo import InsertOne
from pymongo.asynchronous.database import AsyncDatabase

from bench.catalogue_import import BULK_WRITE, IMPORT, TITLES, VALIDATED
from bench.samples import Sample
from mylist.catalogue_files.change import Change
from mylist.catalogue_files.import_files import import_files
from mylist.catalogue_files.records import records
from mylist.catalogue_files.run_options import Options
from mylist.catalogue_files.seen_titles import SeenTitles, external_keys
from mylist.config.settings import Settings
from mylist.domain.external_id import DEFAULT_EXTERNAL_ID_RULES
from mylist.mongodb.collections import MOVIES
from mylist.mongodb.database import Document
from mylist.mongodb.indexes import create_indexes, indexes_of
from mylist.seeding.open_database import open_database

_BATCH_SIZE = 1000
_TIMEOUT_S = 60
_DESCRIPTION = "A description of about the length that those of catalogues have, which is one or two sentences."
_CSV_HEADER = "contentType,title,originalTitle,description,genres,releaseYear,runtimeMinutes,externalIds.imdb\n"
_IMDB_HEADER = "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"


def _json_line(number: int) -> str:
    title = {
        "contentType": "movie",
        "title": f"Title {number}",
        "originalTitle": f"Original {number}",
        "description": _DESCRIPTION,
        "genres": ["Drama", "Crime"],
        "releaseYear": 1920 + number % 100,
        "runtimeMinutes": 60 + number % 60,
        "externalIds": {"imdb": f"tt{number:07}"},
    }
    return json.dumps(title) + "\n"


def _csv_row(number: int) -> str:
    years = f"{1920 + number % 100},{60 + number % 60}"
    return f'movie,"Title, {number}",Original {number},"{_DESCRIPTION}",Drama|Crime,{years},tt{number:07}\n'


def _imdb_row(number: int) -> str:
    years = f"{1920 + number % 100}\t\\N\t{60 + number % 60}"
    return f"tt{number:07}\tmovie\tTitle {number}\tOriginal {number}\t0\t{years}\tDrama,Crime\n"


_FORMATS: dict[str, tuple[str, Callable[[int], str]]] = {
    "JSON Lines": ("", _json_line),
    "CSV": (_CSV_HEADER, _csv_row),
    "IMDb": (_IMDB_HEADER, _imdb_row),
}


def _file(form: str) -> bytes:
    header, row = _FORMATS[form]
    return (header + "".join(map(row, range(TITLES)))).encode()


def validated() -> dict[str, Sample]:
    """Read and validate a file of each format, and look for titles that it has twice, as an import does."""
    samples = {}
    for form, name in VALIDATED.items():
        file = io.BytesIO(_file(form))
        began = time.perf_counter()
        with SeenTitles() as seen:
            for number, record in enumerate(records(file)):
                change = Change.of(record)
                keys = external_keys(change.content_type, change.external_ids)
                assert seen.first_place(keys) is None  # noqa: S101 - or something else was measured
                seen.add(keys, number)
        samples[name] = Sample(rate=TITLES / (time.perf_counter() - began))
    return samples


async def written(uri: str) -> dict[str, Sample]:
    """Write the titles into two new databases, and drop these."""
    content = _file("JSON Lines")
    address, _, _ = uri.rpartition("/")
    samples = {}
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(content)
        file.flush()
        for name, measure in ((BULK_WRITE, _bulk_write), (IMPORT, _import)):
            settings = Settings.load({"MONGODB_URI": f"{address}/bench-{uuid4().hex[:8]}", "MONGODB_TIMEOUT": "5"})
            async with open_database(settings) as database:
                samples[name] = Sample(rate=TITLES / await measure(database, file.name))
                with pymongo.timeout(_TIMEOUT_S):  # seconds on the embedded server, after a long run
                    await database.client.drop_database(database)
    return samples


async def _bulk_write(database: AsyncDatabase[Document], name: str) -> float:
    """Return how many seconds the driver takes for the documents, with the indexes that an import makes."""
    await create_indexes(database, indexes_of(DEFAULT_EXTERNAL_ID_RULES))
    collection = database[MOVIES]
    changes = [Change.of(record) for record in records(io.BytesIO(Path(name).read_bytes()))]  # noqa: ASYNC240 - unmeasured
    documents = [change.document(change.new_id(), datetime.now(UTC)) for change in changes]
    began = time.perf_counter()
    for start in range(0, len(documents), _BATCH_SIZE):
        batch = documents[start : start + _BATCH_SIZE]
        with pymongo.timeout(_TIMEOUT_S):
            await collection.bulk_write([InsertOne(document) for document in batch], ordered=False)
    return time.perf_counter() - began


async def _import(database: AsyncDatabase[Document], name: str) -> float:
    """Return how many seconds an import takes for the same titles, from opening the file on."""
    began = time.perf_counter()
    done = await import_files(database, Options([name]))
    took = time.perf_counter() - began
    assert done.counts.inserted == TITLES  # noqa: S101 - or something else was measured
    return took


if __name__ == "__main__":
    what, mongodb_uri = sys.argv[1:]
    figures = validated() if what == "validated" else uvloop.run(written(mongodb_uri))
    sys.stdout.buffer.write(msgspec.json.encode(figures))
