"""HTTP on Sanic: the one package that touches Sanic's private parts."""
