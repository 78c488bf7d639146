"""A whole system on one machine: embedded MongoDB-protocol and Valkey servers, and `mylist dev`."""
