"""Content ids by number, so that tests need not spell them out."""

from bson import ObjectId

from mylist.domain.content import ContentId, ContentType, content_key


def content_id(number: int) -> ContentId:
    """Return the content id that is this number."""
    return ContentId(number.to_bytes(12))


def number_of(content_id: bytes) -> int:
    """Return the number of a content id, or of a content key."""
    return int.from_bytes(content_id[:12])


def records_with(*keys: bytes) -> bytes:
    """Return records of a packed list with these content keys, all added at the start of 1970."""
    return b"".join(bytes(8) + key for key in keys)


def object_key(object_id: ObjectId, content_type: ContentType) -> bytes:
    """Return the content key of a document of MongoDB."""
    return content_key(ContentId(object_id.binary), content_type)
