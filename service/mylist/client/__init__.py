"""`mylist list`, `add`, `remove` and `contains`: a client of a running service, for those who support its users."""
