"""What CloudFormation's registry says of resource types, out of the schemas that cfn-lint brings along."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

from evaluate import PSEUDO

# Found without being imported, which would take longer than everything here.
_CFN_LINT = importlib.util.find_spec("cfnlint")
SCHEMAS = Path(str(_CFN_LINT and _CFN_LINT.origin)).parent / "data/schemas"

# Permissions that a type's read handler asks for and the drift detection is not given, each with the reason.
WITHHELD = {
    "iam:PassRole": "a reader passes no role",
    "kms:Decrypt": "it would make the reader of configuration one of content",
    "s3:ListBucket": "the names of the archive's objects are those of conversations",
    "secretsmanager:GetSecretValue": "only the two functions read secrets",
    "vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation": "the stack has no endpoint of that kind, and IAM no such action",
}


@cache
def read_permissions(kind: str) -> tuple[str, ...]:
    """What a detection of drift needs to read a resource of a type, without what is withheld."""
    handlers = schema(kind).get("handlers", {}).get("read", {})
    return tuple(one for one in _spelled(handlers.get("permissions", [])) if one not in WITHHELD)


def is_required(kind: str, path: list[str | int]) -> bool:
    """Whether CloudFormation refuses a resource of a type without the property at a path."""
    node: Any = schema(kind)
    for part in path[:-1]:
        node = _resolved(kind, node)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
    return path[-1] in _resolved(kind, node).get("required", [])


@cache
def schema(kind: str) -> dict[str, Any]:
    """The schema of a type, in the region that the variants are evaluated for."""
    files = json.loads((SCHEMAS / f"providers/{PSEUDO['AWS::Region']}.json").read_text(encoding="utf-8"))
    name = files.get(kind)
    return json.loads((SCHEMAS / f"resources/{name}.json").read_text(encoding="utf-8")) if name else {}


def _resolved(kind: str, node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = schema(kind)
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _spelled(permissions: list[str]) -> list[str]:
    # CloudTrail's handler writes the service with capitals.
    return [f"{service.lower()}:{action}" for service, action in (one.split(":") for one in permissions)]
