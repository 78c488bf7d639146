"""Reads the records of a file in any of the formats: JSON Lines, CSV, IMDb's or TMDB's."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from mylist.catalogue_files import csv_records, imdb_records, json_records
from mylist.catalogue_files.record import Record, not_blank
from mylist.catalogue_files.text_lines import lines

_JSON = re.compile(rb"\s*[\[{]")


def records(file: BinaryIO) -> Iterator[Record]:
    """Yield the records of a file in order; the first line determines the format.

    Raises:
        UnreadableFileError: the format is unknown, or the file cannot be read to its end.
    """
    rows = lines(file)
    first = next(not_blank(rows), None)
    if first is None:
        return
    rows = chain([first], rows)
    if _JSON.match(first.raw):
        yield from json_records.records(rows)
    elif imdb_records.is_imdb(first.raw):
        yield from imdb_records.records(rows)
    else:
        yield from csv_records.records(rows)
