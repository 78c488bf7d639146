"""My List: each user's saved movies and TV shows, behind a REST API."""

from importlib.metadata import version

__version__ = version("mylist")
