"""`mylist list`, `add`, `export` and the like: a client of a running service, for support staff."""
