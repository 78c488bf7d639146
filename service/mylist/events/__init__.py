"""Tells other systems of the changes of lists: `mylist events` follows MongoDB's change stream."""
