"""My List: each user's saved movies and TV shows, behind a REST API."""

import warnings
from importlib.metadata import version

__version__ = version("mylist")

# Python 3.14 warns about this when it compiles Sanic 25.12: at every start if compiled files are not kept.
warnings.filterwarnings("ignore", "'return' in a 'finally' block", SyntaxWarning)
