"""`mylist show`, `erase`, `move` and `withdraw`: what operators do to lists, past the service and beside it."""
