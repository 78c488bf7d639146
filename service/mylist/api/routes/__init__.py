"""The routes: each declared once, with a handler of a few lines."""
