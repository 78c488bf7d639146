"""The indexes of the users that seeding adds. The service itself reads no user, and needs none of them."""

from pymongo import ASCENDING, IndexModel

from mylist.mongodb.collections import USERS

# Partial, as users of others may lack a name or an address.
USER_INDEXES = {
    USERS: [
        IndexModel([(field, ASCENDING)], unique=True, partialFilterExpression={field: {"$type": "string"}})
        for field in ("username", "email")
    ]
}
