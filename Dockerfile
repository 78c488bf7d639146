# The image of the service. The last stage, `runtime`, is the one to run; `dev` reloads on change for `skaffold dev`.
ARG PYTHON_IMAGE=python:3.13-slim

# --- Everything from PyPI, exactly as locked. Every package is a wheel, so only the service itself is compiled.
FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# Bytecode is compiled here, and never checked against its source again: the file system is read-only where it runs.
ARG COMPILE="python -m compileall -q --invalidation-mode unchecked-hash"

FROM builder AS dependencies
RUN python -m venv --without-pip /opt/mylist
COPY locks/runtime.txt locks/docs.txt ./
RUN pip --python /opt/mylist/bin/python install --no-compile --only-binary :all: --require-hashes \
        --requirement runtime.txt \
    && pip --python /opt/mylist/bin/python install --no-compile --only-binary :all: --require-hashes --no-deps \
        --requirement docs.txt \
    && ${COMPILE} /opt/mylist/lib

# The package is installed separately from its dependencies, so that a code change adds a layer of a few 100 kB.
FROM builder AS package
# The base image has Python's headers, but no C compiler. This one comes from PyPI as well, and stays in this stage.
COPY locks/build.txt locks/compiler.txt ./
RUN pip install --only-binary :all: --require-hashes --requirement build.txt --requirement compiler.txt
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY service service
COPY --from=dependencies /opt/mylist /opt/mylist
# For any processor of this architecture, not only that of the building machine, and for any glibc from 2.28 on.
RUN CC="python -m ziglang cc -target $(uname -m)-linux-gnu.2.28 -mcpu=baseline -fno-sanitize=undefined" \
    MYLIST_COMPILE=required \
    pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/mylist/bin/python install --no-compile --no-deps --prefix /package wheels/*.whl \
    && ${COMPILE} /package/lib

FROM builder AS reloader
COPY --from=dependencies /opt/mylist /opt/mylist
COPY locks/reload.txt ./
RUN pip --python /opt/mylist/bin/python install --only-binary :all: --require-hashes --prefix /reloader \
        --requirement reload.txt

# --- What both images share: Python without pip, its library compiled (the base image ships it as source only, and
# compiling it on a read-only file system would cost time at every start).
FROM ${PYTHON_IMAGE} AS service
RUN pip uninstall --yes --quiet --root-user-action ignore pip \
    && rm -rf /usr/local/lib/python3.*/ensurepip "$HOME/.cache" \
    && python -m compileall -q --invalidation-mode unchecked-hash -x '/(idlelib|test|tkinter|turtledemo)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
ENV PATH=/opt/mylist/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY --from=dependencies /opt/mylist /opt/mylist
COPY --from=package /package /opt/mylist
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
# Liveness, as an orchestrator would check it: only the event loop must answer. It uses plain sockets because it runs often.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-I", "-S", "-c", "\
import os, socket, sys\n\
with socket.create_connection(('localhost', int(os.environ.get('PORT') or 3000)), 2) as connection:\n\
    connection.sendall(b'GET /livez HTTP/1.0\\r\\n\\r\\n')\n\
    sys.exit(b' 200 ' not in connection.recv(64))\n"]

# --- `skaffold dev` copies changed files to /app/service, which comes before the installed package and belongs to the
# user that runs. There is no compiled file, so this image runs the Python version of the loops. Needs a writable root
# file system.
FROM service AS dev
COPY --from=reloader /reloader /opt/mylist
COPY --chown=10001:10001 service /app/service
ENV PYTHONPATH=/app/service SHUTDOWN_DELAY=0
CMD ["watchfiles", "mylist serve", "/app/service"]

FROM service AS runtime
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mylist" \
      org.opencontainers.image.description="The My List service of an OTT platform" \
      org.opencontainers.image.licenses="ISC" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV APP_ENV=production REVISION=${REVISION}
# The service is PID 1 itself, without an init: it handles SIGTERM and starts no process that it would need to reap.
CMD ["mylist", "serve"]
