"""The names of the collections."""

from mylist.domain.content import ContentType

LISTS = "mylist"
CHANGES = "mylist_changes"
"""One document for each user and content whose item was removed, or got another date, of late."""
PROCESSES = "mylist_processes"
"""One small document, in which the processes say which Redis they use. It is in no case sharded."""
EVENT_POSITIONS = "mylist_events"
"""How far `mylist events` has come, one small document for each name."""
MOVIES = "movies"
TVSHOWS = "tvshows"
USERS = "users"
ORIGINAL_LISTS = "mylists"
"""Where the original service keeps lists: Mongoose's name for its model `MyList`."""
ADOPTED = "mylist_adopted"
"""What `mylist adopt` has carried between the lists of the original service and this one's."""

CONTENT_COLLECTIONS: dict[ContentType, str] = {"movie": MOVIES, "tvshow": TVSHOWS}
"""Where the documents of each content type are."""
