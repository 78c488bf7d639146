"""`mylist list`, `add`, `remove` and `contains`: a client of a running service, for support staff."""
