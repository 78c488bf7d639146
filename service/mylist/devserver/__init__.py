"""`mylist dev`: the service and embedded MongoDB-protocol and Valkey servers on one machine."""
