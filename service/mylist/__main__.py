"""`python -m mylist` is the `mylist` command."""

from mylist.cli import main

if __name__ == "__main__":
    main()
