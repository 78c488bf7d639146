"""A fake Kubernetes API: by HTTPS, and with a HorizontalPodAutoscaler in the API's form.

It requires the token, and knows one autoscaler alone. It has no other behaviour of a cluster.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devtools.certificates import make_certificates
from tests.fake_http_server import FakeHttpHandler, fake_http_server

NAMESPACE, NAME, TOKEN = "ott", "mylist", "a-token"
PATH = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/{NAME}"


class Kubernetes:
    """The state of the autoscaler, and the folder with a pod's credentials."""

    def __init__(self, account: Path) -> None:
        self.account = account
        self.token = TOKEN
        self.status: dict[str, Any] = {"currentReplicas": 3, "desiredReplicas": 3}
        self.spec: dict[str, Any] = {"minReplicas": 3, "maxReplicas": 20}
        self.asked = 0
        self.environment: dict[str, str] = {}

    def autoscaler(self) -> dict[str, Any]:
        """The answer in a cluster's form, without fields that the load test does not read."""
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
        """Return the status and the body."""
        self.asked += 1
        if token != f"Bearer {self.token}":
            return 401, {"kind": "Status", "code": 401, "reason": "Unauthorized"}
        if path != PATH:
            return 404, {"kind": "Status", "code": 404, "reason": "NotFound"}
        return 200, self.autoscaler()


@contextmanager
def kubernetes(folder: Path) -> Iterator[Kubernetes]:
    """Serve it until the end of the block."""
    account = folder / "serviceaccount"
    account.mkdir()
    (account / "namespace").write_text(NAMESPACE)
    (account / "token").write_text(TOKEN)
    certificates = make_certificates(folder)
    certificates.authority.rename(account / "ca.crt")
    stand_in = Kubernetes(account)

    class Handler(FakeHttpHandler):
        def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
            status, content = stand_in.answer(self.path, self.headers.get("authorization", ""))
            self.answer(json.dumps(content).encode(), "application/json", status)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    with fake_http_server(Handler, tls=context) as port:
        stand_in.environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
        yield stand_in
