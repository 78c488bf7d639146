"""The current and the desired replicas of a HorizontalPodAutoscaler during a run, from the Kubernetes API."""

import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import gevent
import msgspec

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token, the namespace that it is in, and the certificate of the API's authority."""

INTERVAL_S = 5.0
"""Seconds between two looks; an autoscaler itself looks every fifteen."""
_TIMEOUT_S = 5.0


class _Bounds(msgspec.Struct, rename="camel"):
    max_replicas: int
    min_replicas: int = 1


class _Status(msgspec.Struct, rename="camel"):
    current_replicas: int = 0
    desired_replicas: int = 0


class _Autoscaler(msgspec.Struct):
    spec: _Bounds
    status: _Status = msgspec.field(default_factory=_Status)


_decoder = msgspec.json.Decoder(_Autoscaler)


@dataclass(frozen=True, slots=True)
class Sample:
    """The current and the desired replicas at a moment, in seconds since the start of the window."""

    second: float
    current: int
    desired: int


@dataclass(frozen=True, slots=True)
class Scaling:
    """The changes of an autoscaler during the window.

    Attributes:
        name: of the autoscaler.
        min_replicas: as many replicas it keeps.
        max_replicas: the most replicas that it may want.
        samples: the observed replicas; empty if unknown.
        remark: why it is not, or not for all of the window.
    """

    name: str
    min_replicas: int = 0
    max_replicas: int = 0
    samples: tuple[Sample, ...] = ()
    remark: str = ""

    @property
    def changes(self) -> list[Sample]:
        """Return the first sample, the last one, and each sample between them that differs from the one before."""
        found: list[Sample] = []
        for sample in self.samples:
            if not found or (sample.current, sample.desired) != (found[-1].current, found[-1].desired):
                found.append(sample)
        return found if not found or found[-1] is self.samples[-1] else [*found, self.samples[-1]]


class AutoscalerWatch:
    """Looks at an autoscaler of the namespace that the process runs in, every few seconds."""

    def __init__(self, name: str, *, account: Path | None = None) -> None:
        self._name = name
        self._account = account or ACCOUNT
        self._began = 0.0
        self._samples: list[Sample] = []
        self._bounds = _Bounds(0, 0)
        self._remark = ""
        self._looking: gevent.Greenlet | None = None

    def begin(self) -> None:
        """Begin to look."""
        self._began = time.monotonic()
        self._looking = gevent.spawn(self._look_on)

    def end(self) -> Scaling:
        """Take a last sample; return all samples."""
        if self._looking is not None:
            self._looking.kill()
            self._look()
        return Scaling(
            self._name, self._bounds.min_replicas, self._bounds.max_replicas, tuple(self._samples), self._remark
        )

    def _look_on(self) -> None:
        while True:
            self._look()
            gevent.sleep(INTERVAL_S)

    def _look(self) -> None:
        second = time.monotonic() - self._began
        try:
            seen = self._read()
        except (OSError, KeyError, msgspec.DecodeError) as error:  # of the API, or of a process that is in no pod
            self._remark = f"the autoscaler {self._name} could not be read: {error}"
            return
        self._bounds = seen.spec
        self._samples.append(Sample(second, seen.status.current_replicas, seen.status.desired_replicas))

    def _read(self) -> _Autoscaler:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        host = f"[{host}]" if ":" in host else host
        namespace = (self._account / "namespace").read_text().strip()
        path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{self._name}"
        # The token is read each time: the kubelet renews it.
        token = (self._account / "token").read_text().strip()
        context = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        # Certificates of many clusters lack the key identifiers that Python 3.13 requires.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
        asked = Request(f"https://{host}:{port}{path}", headers={"authorization": f"Bearer {token}"})
        with opener.open(asked, timeout=_TIMEOUT_S) as answer:
            return _decoder.decode(answer.read())
