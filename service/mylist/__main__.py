"""Runs the `mylist` command as `python -m mylist`."""

from mylist.cli import main

if __name__ == "__main__":
    main()
