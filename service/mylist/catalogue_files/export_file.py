"""`mylist catalogue export`: writes the catalogue as JSON Lines, which `mylist catalogue import` accepts unchanged."""

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import pymongo
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase
from tqdm import tqdm

from mylist.catalogue.rendering import plain
from mylist.catalogue_files.lookup import STEP_TIMEOUT_S
from mylist.domain.content import CONTENT_TYPES, ContentType
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import Document

_BATCH_SIZE = 1000


class ExportFileError(Exception):
    """The file cannot be written; the message is one line."""


@dataclass(slots=True)
class Export:
    """The result of an export.

    Attributes:
        titles: number of titles written.
        left_out: documents whose `_id` is not an ObjectId, so that no list can contain them.
    """

    titles: int = 0
    left_out: int = 0


async def export_file(database: AsyncDatabase[Document], path: Path | None) -> Export:
    """Write every title, movies first and by id; show a bar on a terminal.

    Args:
        database: the database of the catalogue.
        path: the file, compressed if its name ends in `.gz`. It appears only once it is complete. None for standard
            output.

    Raises:
        ExportFileError: the file cannot be written.
        PyMongoError: MongoDB fails.
    """
    done = Export()
    total = sum([await database[name].estimated_document_count() for name in CONTENT_COLLECTIONS.values()])
    disable = True if path is None else None  # the titles may themselves go to the terminal
    with _opened(path) as file, tqdm(total=total, unit=" titles", disable=disable) as bar:
        for content_type in CONTENT_TYPES:
            cursor = database[CONTENT_COLLECTIONS[content_type]].find({}, sort=[("_id", 1)], batch_size=_BATCH_SIZE)
            while True:
                with pymongo.timeout(STEP_TIMEOUT_S):
                    documents = await cursor.to_list(_BATCH_SIZE)
                if not documents:
                    break
                lines = [_line(content_type, each) for each in documents if isinstance(each["_id"], ObjectId)]
                file.write(b"".join(lines))
                done.titles += len(lines)
                done.left_out += len(documents) - len(lines)
                bar.update(len(documents))
    return done


def _line(content_type: ContentType, document: Document) -> bytes:
    fields: dict[str, Any] = plain(document)
    head = {"id": str(document["_id"]), "contentType": content_type}
    rest = {name: value for name, value in fields.items() if name not in head}
    return msgspec.json.encode({**head, **rest}) + b"\n"


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = path.with_name(f"{path.name}.part")
    try:
        with partial.open("wb") as raw:
            if path.suffix == ".gz":
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6) as packed:
                    yield cast("BinaryIO", packed)
            else:
                yield raw
        partial.replace(path)
    except OSError as error:
        raise ExportFileError(f"{path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
