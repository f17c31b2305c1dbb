"""Evaluates the chart's roles as the API server does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rights:
    """Rules of roles: API groups, resources and verbs; `*` stands for all."""

    rules: tuple[Mapping[str, Any], ...]

    def allow(self, verb: str, version: str, resource: str) -> bool:
        """Whether a rule names the verb on the resource (with its subresource) in the group of the API version."""
        group = version.rpartition("/")[0]
        return any(
            {group, "*"} & set(rule["apiGroups"])
            and {resource, "*"} & set(rule["resources"])
            and {verb, "*"} & set(rule["verbs"])
            for rule in self.rules
        )


EVERYTHING = Rights(({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},))


def of_roles(documents: Iterable[Mapping[str, Any]], name: str) -> Rights:
    """The rights of the roles, for a namespace or the cluster, whose names end with `name`."""
    roles = [obj for obj in documents if obj["kind"] in {"Role", "ClusterRole"} and obj["metadata"]["name"].endswith(name)]
    return Rights(tuple(rule for role in roles for rule in role["rules"]))
