"""The rules of a list and of its requests: pure functions, without I/O, frameworks or our other packages."""
