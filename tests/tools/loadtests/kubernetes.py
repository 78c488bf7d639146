"""A server that stands in for the Kubernetes API: by HTTPS, and with a HorizontalPodAutoscaler shaped as the API's.

It asks for the token, and knows one autoscaler alone. What a cluster does beyond that it does not do.
"""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.answering import Answering

NAMESPACE, NAME, TOKEN = "ott", "mylist", "a-token"
PATH = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/{NAME}"


class Kubernetes:
    """What the autoscaler is, and the folder with which a pod comes to it."""

    def __init__(self, account: Path) -> None:
        self.account = account
        self.token = TOKEN
        self.status: dict[str, Any] = {"currentReplicas": 3, "desiredReplicas": 3}
        self.spec: dict[str, Any] = {"minReplicas": 3, "maxReplicas": 20}
        self.asked = 0
        self.environment: dict[str, str] = {}

    def autoscaler(self) -> dict[str, Any]:
        """The answer as a cluster gives it, but for what nobody here reads."""
        return {
            "kind": "HorizontalPodAutoscaler",
            "apiVersion": "autoscaling/v2",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "resourceVersion": "12"},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": NAME, "apiVersion": "apps/v1"},
                **self.spec,
                "metrics": [{"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "mylist"}}],
            },
            "status": {"observedGeneration": 1, **self.status, "currentMetrics": None, "conditions": []},
        }

    def answer(self, path: str, token: str) -> tuple[int, dict[str, Any]]:
        """Gives the status and the body."""
        self.asked += 1
        if token != f"Bearer {self.token}":
            return 401, {"kind": "Status", "code": 401, "reason": "Unauthorized"}
        if path != PATH:
            return 404, {"kind": "Status", "code": 404, "reason": "NotFound"}
        return 200, self.autoscaler()


@contextmanager
def kubernetes(folder: Path) -> Iterator[Kubernetes]:
    """Serves it as long as the context lasts."""
    account = folder / "serviceaccount"
    account.mkdir()
    (account / "namespace").write_text(NAMESPACE)
    (account / "token").write_text(TOKEN)
    certificate, key = account / "ca.crt", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    stand_in = Kubernetes(account)

    class Handler(Answering):
        def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
            status, content = stand_in.answer(self.path, self.headers.get("authorization", ""))
            self.answer(json.dumps(content).encode(), "application/json", status)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client may refuse the certificate
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    address = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.server_port)}
    stand_in.environment = address
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
