"""See `process`."""

from devtools.scripted_mongodb.process import main

main()
