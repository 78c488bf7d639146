"""Lists of other services: reads their files, and finds the movies and shows that they name."""
