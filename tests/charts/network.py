"""What Kubernetes' network policies let through, worked out from the rendered documents.

The rules: https://kubernetes.io/docs/concepts/services-networking/network-policies/. A pod that some policy selects for a
direction may do in that direction only what a selecting policy allows; policies add up.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """One end of a connection: a pod of some namespace, or an address outside the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "longrun"
    address: str = ""


def allowed(policies: Iterable[Policy], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether `source` may connect to `target`; ends outside the policies' namespace are bound by nothing here."""
    known = list(policies)
    leaves = _passes(known, "egress", "to", source, target, port, protocol)
    return leaves and _passes(known, "ingress", "from", target, source, port, protocol)


def _passes(policies: list[Policy], way: str, peer_key: str, own: End, other: End, port: int, protocol: str) -> bool:
    if own.address or own.namespace != "longrun":
        return True
    bound = [
        p["spec"] for p in policies if way.title() in p["spec"]["policyTypes"] and _selects(p["spec"]["podSelector"], own.labels)
    ]
    rules = [rule for spec in bound for rule in spec.get(way) or []]
    return not bound or any(_to_port(rule, port, protocol) and _to_peer(rule.get(peer_key), other) for rule in rules)


def _to_port(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    return "ports" not in rule or any((entry["port"], entry["protocol"]) == (port, protocol) for entry in rule["ports"])


def _to_peer(peers: list[Mapping[str, Any]] | None, other: End) -> bool:
    return peers is None or any(_is_peer(peer, other) for peer in peers)


def _is_peer(peer: Mapping[str, Any], other: End) -> bool:
    if "ipBlock" in peer:
        return bool(other.address) and ipaddress.ip_address(other.address) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    if other.address:
        return False
    names = {"kubernetes.io/metadata.name": other.namespace}
    here = _selects(peer["namespaceSelector"], names) if "namespaceSelector" in peer else other.namespace == "longrun"
    return here and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "NotIn"
        if labels.get(expression["key"]) in expression["values"]:
            return False
    return True
