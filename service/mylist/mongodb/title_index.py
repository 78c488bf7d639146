"""The indexes that find titles regardless of case and accents."""

from pymongo import ASCENDING, IndexModel
from pymongo.collation import Collation

TITLE_FIELDS = ("title", "originalTitle")
TITLE_COLLATION = Collation("en", strength=1, alternate="shifted")
"""Compares only base letters, and ignores blanks and punctuation."""
TITLE_INDEXES = [
    IndexModel([(field, ASCENDING)], name=f"{field}_folded", collation=TITLE_COLLATION, sparse=field != "title")
    for field in TITLE_FIELDS
]
