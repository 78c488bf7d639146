"""The indexes of the users that seeding adds. The service itself reads no users, and needs none of these indexes."""

from pymongo import ASCENDING, IndexModel

from mylist.mongodb.collections import USERS

# Partial, because users of other programs may lack a name or an address.
USER_INDEXES = {
    USERS: [
        IndexModel([(field, ASCENDING)], unique=True, partialFilterExpression={field: {"$type": "string"}})
        for field in ("username", "email")
    ]
}
