"""The names of the collections."""

from mylist.domain.content import ContentType

LISTS = "mylist"
MOVIES = "movies"
TVSHOWS = "tvshows"
USERS = "users"

CONTENT_COLLECTIONS: dict[ContentType, str] = {"movie": MOVIES, "tvshow": TVSHOWS}
"""Where the documents of each content type are."""
