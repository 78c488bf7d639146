"""The traffic that network policies allow, by Kubernetes' rules."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from tests.chart.rendering import NAMESPACE, Object, Rendered

Peer = Object | str
"""A pod of the release's namespace, or another peer: `namespace/<name>` a pod there, `address/<IP>` the host with it,
`anywhere` some host outside."""


@dataclass(frozen=True)
class Port:
    """A port: its number, and its name if the pod names it."""

    number: int
    protocol: str = "TCP"
    name: str = ""


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Return whether a label selector matches these labels."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}, selector
    for each in selector.get("matchExpressions", []):
        assert each["operator"] == "In", each
        if labels.get(each["key"]) not in each["values"]:
            return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def allows(rendered: Rendered, pod: Object, direction: str, peer: Peer, port: Port) -> bool:
    """Return whether the policies let a pod connect to a peer (`egress`), or accept its connections (`ingress`)."""
    applying = [
        each["spec"]
        for each in rendered.of_kind("NetworkPolicy")
        if direction.capitalize() in each["spec"]["policyTypes"]
        and matches(each["spec"]["podSelector"], pod["metadata"]["labels"])
    ]
    peers = "to" if direction == "egress" else "from"
    return not applying or any(
        _is_port(rule.get("ports"), port) and _is_peer(rule.get(peers), peer)
        for policy in applying
        for rule in policy.get(direction, [])
    )


def _is_port(ports: list[Any] | None, port: Port) -> bool:
    return not ports or any(
        each.get("protocol", "TCP") == port.protocol and each["port"] in {port.number, port.name or port.number}
        for each in ports
    )


def _is_peer(peers: list[Any] | None, peer: Peer) -> bool:
    return not peers or any(_is(each, peer) for each in peers)


def _is(allowed: Object, peer: Peer) -> bool:
    if "ipBlock" in allowed:
        block = ip_network(allowed["ipBlock"]["cidr"])
        if isinstance(peer, str) and peer.startswith("address/"):
            return ip_address(peer.removeprefix("address/")) in block
        return peer == "anywhere" and not block.is_link_local
    if isinstance(peer, str):
        kind, _, name = peer.partition("/")
        labels = {"kubernetes.io/metadata.name": name}
        return kind == "namespace" and "namespaceSelector" in allowed and matches(allowed["namespaceSelector"], labels)
    if "namespaceSelector" in allowed and not matches(
        allowed["namespaceSelector"], {"kubernetes.io/metadata.name": NAMESPACE}
    ):
        return False
    return matches(allowed.get("podSelector", {}), peer["metadata"]["labels"])
