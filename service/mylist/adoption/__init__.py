"""`mylist adopt`: takes over the lists of the original service, and those of this service's former form."""
