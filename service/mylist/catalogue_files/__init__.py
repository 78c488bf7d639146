"""`mylist catalogue`: imports files of titles into the catalogue, and exports the catalogue to a file."""
