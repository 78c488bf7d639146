"""The indexes by which titles are found whatever their case and accents."""

from pymongo import ASCENDING, IndexModel
from pymongo.collation import Collation

TITLE_FIELDS = ("title", "originalTitle")
TITLE_COLLATION = Collation("en", strength=1, alternate="shifted")
"""Base letters alone count, and neither blanks nor punctuation."""
TITLE_INDEXES = [
    IndexModel([(field, ASCENDING)], name=f"{field}_folded", collation=TITLE_COLLATION, sparse=field != "title")
    for field in TITLE_FIELDS
]
