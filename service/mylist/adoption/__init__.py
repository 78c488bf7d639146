"""`mylist adopt`: converts the lists of the original service, and lists in a former format of this service."""
