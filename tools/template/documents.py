"""Reads templates of CloudFormation into plain values, with every intrinsic function in its long form."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

Value = Any
Template = dict[str, Value]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Dates stay text: `Version: 2012-10-17` is no date."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> Value:
    if isinstance(node, yaml.ScalarNode):
        value: Value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@cache
def load(path: Path) -> Template:
    """Reads one template, which nobody may change."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506, the loader is a safe one
