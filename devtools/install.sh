#!/bin/sh
# Installs what a lock file holds, and the package itself, into an environment: devtools/install.sh VENV LOCK. With
# devtools/install.sh VENV LOCK OTHER VERSION it makes the environment OTHER, with that version of Python, and installs
# there; VENV has the tools.
#
# uv is several times as fast as pip. It does not read pip's configuration, so an index or an authority that is
# configured for pip is passed on.
set -eu
venv=$1 lock=$2 other=${3:-} version=${4:-}

"$venv/bin/pip" install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes --requirement locks/install.txt

# pip_option NAME: its value in pip's configuration; what the environment says overrides the files.
pip_option() {
    "$venv/bin/pip" config list 2>/dev/null | sed -n "s/^[a-z:]*\.$1='\(.*\)'\$/\1/p" | tail -n 1
}
[ -n "${UV_DEFAULT_INDEX:-}" ] || { index=$(pip_option index-url) && [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"; }
[ -n "${UV_INDEX:-}" ] || { index=$(pip_option extra-index-url) && [ -z "$index" ] || export UV_INDEX="$index"; }
[ -n "${SSL_CERT_FILE:-}" ] || { file=$(pip_option cert) && [ -z "$file" ] || export SSL_CERT_FILE="$file"; }

# uv takes a Python of this machine, or else downloads it. The variable is pyenv's: without it the command of a Python
# that is installed, but not selected, would only say so.
[ -z "$other" ] || PYENV_VERSION="$version" "$venv/bin/uv" venv --quiet --clear --python "$version" "$other"

export VIRTUAL_ENV="${other:-$venv}"
"$venv/bin/uv" pip install --quiet --require-hashes --requirement "$lock"
# Only its static files are used.
"$venv/bin/uv" pip install --quiet --no-deps --require-hashes --requirement locks/docs.txt
# The build backend comes from the lock too, hence no isolated build that would fetch another.
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
# The build's own line about what it could not compile; uv does not show it.
[ ! -e build/compiled/not-compiled.txt ] || cat build/compiled/not-compiled.txt
