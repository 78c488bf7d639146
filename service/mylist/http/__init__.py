"""HTTP on Sanic: the only package that touches Sanic's private parts."""
