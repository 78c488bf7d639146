"""`mylist catalogue`: brings files of titles into the catalogue, and writes the catalogue out as one."""
