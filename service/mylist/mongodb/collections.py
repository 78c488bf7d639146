"""The names of the collections."""

from mylist.domain.content import ContentType

LISTS = "mylist"
CHANGES = "mylist_changes"
"""One document per user and content id whose item was recently removed or got a new date."""
PROCESSES = "mylist_processes"
"""One small document, in which the processes declare which Redis they use. It must not be sharded."""
EVENT_POSITIONS = "mylist_events"
"""The progress of `mylist events`: one small document per name."""
MOVIES = "movies"
TVSHOWS = "tvshows"
USERS = "users"
ORIGINAL_LISTS = "mylists"
"""The lists of the original service: Mongoose's name for its model `MyList`."""
ADOPTED = "mylist_adopted"
"""The progress of `mylist adopt` between the lists of the original service and this one's."""

CONTENT_COLLECTIONS: dict[ContentType, str] = {"movie": MOVIES, "tvshow": TVSHOWS}
"""The collection of each content type."""
