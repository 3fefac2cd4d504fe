"""Questions to an evaluated template that more than one rule asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from documents import Value

Resources = dict[str, Value]


class Statement(NamedTuple):
    """A statement of a policy, with lists where a template may have single values."""

    owner: str
    sid: str
    effect: str
    actions: list[str]
    resources: list[Value]
    principals: Value
    condition: dict[str, Value]

    def allows(self, action: str) -> bool:
        """Whether it allows an action, by name or pattern."""
        return self.effect == "Allow" and any(fnmatchcase(action.lower(), own.lower()) for own in self.actions)

    def services(self) -> list[str]:
        """The services among its principals."""
        return as_list(self.principals.get("Service", [])) if isinstance(self.principals, dict) else []


def of_type(resources: Resources, *types: str) -> Iterator[tuple[str, Value]]:
    """Names and properties of the resources of some types."""
    if not _last or _last[0][0] is not resources or _last[0][1] != len(resources):
        by_type: dict[str, list[tuple[str, Value]]] = {}
        for name, resource in resources.items():
            by_type.setdefault(resource["Type"], []).append((name, resource.get("Properties", {})))
        _last[:] = [(resources, len(resources), by_type)]
    for one in types:
        yield from _last[0][2].get(one, ())


# The document that was asked last, since every rule asks it many times. Whoever exchanges a resource makes a new document.
_last: list[tuple[Resources, int, dict[str, list[tuple[str, Value]]]]] = []


def as_list(value: Value) -> list[Value]:
    """A list, of one if it is none."""
    return value if isinstance(value, list) else [value]


def key(value: Value) -> str:
    """What a value is compared by."""
    return json.dumps(value, sort_keys=True)


def statements(document: Value, owner: str) -> Iterator[Statement]:
    """The statements of a policy document."""
    for one in as_list(document["Statement"]):
        yield Statement(
            owner,
            one.get("Sid", ""),
            one["Effect"],
            as_list(one["Action"]),
            as_list(one.get("Resource", [])),
            one.get("Principal", {}),
            one.get("Condition", {}),
        )


def identity_statements(resources: Resources) -> Iterator[Statement]:
    """What the roles' policies say; the owner is the role."""
    for _, properties in of_type(resources, "AWS::IAM::ManagedPolicy"):
        for role in properties.get("Roles", []):
            yield from statements(properties["PolicyDocument"], role["Ref"])


def key_statements(resources: Resources, arn: Value) -> Iterator[Statement]:
    """What the policy of a key says."""
    name = arn["Fn::GetAtt"][0]
    yield from statements(resources[name]["Properties"]["KeyPolicy"], name)


def variables(function: Value) -> dict[str, Value]:
    """Environment of a function."""
    return function.get("Environment", {}).get("Variables", {})


def depends_on(resource: Value) -> list[str]:
    """What a resource waits for besides what it refers to."""
    return as_list(resource.get("DependsOn", []))
