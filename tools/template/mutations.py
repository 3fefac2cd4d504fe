"""Makes defects in the evaluated stack, one at a time, and counts how many of them our own rules find.

    mutations.py             makes all of them and prints the score
    mutations.py sample N    makes N of them, always the same
    mutations.py list        prints what survives, for survivors.json

A survivor stands in survivors.json with its reason, or the run fails; so it does where one of that file is found or is not made.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from documents import Value
from evaluate import evaluate, variants
from graph import Resources
from policy import remember
from registry import is_required
from rules import RULES

SURVIVORS = Path(__file__).with_name("survivors.json")
# The stage with everything in it, and the variants with what is only for other accounts and regions, and what capture does on demand.
BASES = ("prod", "shared", "redacted")
SEED = 7
ELSEWHERE = "elsewhere"
# What is said about a resource to a reader, and what is its name: it decides nothing.
SAID = {"Description", "AlarmDescription", "GroupDescription", "DBSubnetGroupDescription", "Sid", "Id", "Tags", "Metadata", "Type"}
# Text with a weaker one of the same kind beside it.
WEAKER = {
    "Allow": "Deny", "Deny": "Allow", "Retain": "Delete", "Snapshot": "Delete", "Delete": "Retain", "Enabled": "Suspended",
    "aws:kms": "AES256", "BucketOwnerEnforced": "ObjectWriter", "scram-sha-256": "md5", "scram": "md5+scram", "TLSv1.2": "TLSv1",
    "breaching": "notBreaching", "notBreaching": "breaching", "Sum": "SampleCount", "Maximum": "Minimum", "Average": "Minimum",
    "GreaterThanThreshold": "LessThanThreshold", "GreaterThanOrEqualToThreshold": "LessThanThreshold", "Interface": "Gateway",
    "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS": "ENABLED", "ALL": "ACCEPT", "terse": "verbose", "none": "all", "allow": "deny",
    "tcp": "-1", "127.0.0.1/32": "0.0.0.0/0", "role,ddl": "none", "WARN": "FATAL", "INFO": "FATAL", "JSON": "Text",
    "provided.al2023": "provided.al2", "0": "1", "1": "0", "true": "false", "false": "true", "OFF": "FLEXIBLE",
}  # fmt: skip


class Mutant(NamedTuple):
    """A stack with one defect."""

    what: str
    base: str
    path: str
    resources: Resources

    def name(self) -> str:
        """How survivors.json calls it."""
        return f"{self.base}: {self.what} {self.path}"


def mutants() -> Iterator[Mutant]:
    """All of them, always in the same order."""
    first: Resources = {}
    for base in BASES:
        resources = evaluate(variants()[base])["Resources"]
        remember(resources)
        for name in sorted(resources):
            # Of the other variants only what the first does not have.
            if name not in first:
                yield Mutant("remove", base, name, _without(resources, name))
            yield from _defects_of(resources, first, base, name)
        first = first or resources


def is_found(mutant: Mutant) -> str:
    """A rule that finds it, or nothing."""
    for name in list(_order):
        try:
            found = next(iter(RULES[name](mutant.resources)), None) is not None
        except Exception:  # noqa: BLE001, a rule that cannot read the stack refuses it, too
            found = True
        if found:
            # What finds one defect of a resource finds most of them.
            _order.remove(name)
            _order.insert(0, name)
            return name
    return ""


_order = list(RULES)


def survivors() -> dict[str, str]:
    """What may survive, with its reason."""
    listed = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    return {name: one["reason"] for one in listed for name in one["mutants"]}


def judged(found: dict[str, str], listed: dict[str, str], whole: bool) -> list[str]:
    """What is wrong with a run: survivors that are not listed, and listed ones that are found or are not made."""
    problems = [f"survives: {name}" for name, rule in found.items() if not rule and name not in listed]
    problems += [f"listed as a survivor, and found by {found[name]}: {name}" for name in listed if found.get(name)]
    problems += [f"listed as a survivor, and not made: {name}" for name in listed if whole and name not in found]
    return problems


def _defects_of(resources: Resources, first: Resources, base: str, name: str) -> Iterator[Mutant]:
    resource = resources[name]
    for what, path, value in _defects(resource, resources):
        if _at(first.get(name, MISSING), path) == _at(resource, path):
            continue
        where = "/".join([name, *map(str, path)])
        yield Mutant(what, base, where, {**resources, name: _with(resource, path, value)})


MISSING: Any = object()


def _defects(resource: Value, resources: Resources) -> Iterator[tuple[str, list[str | int], Value]]:
    for path, value in _places(resource, []):
        last = path[-1]
        if not _is_required(resource["Type"], path):
            yield "drop", path, MISSING
        if _is_reference(value):
            yield "cut", path, ELSEWHERE
            if other := _sibling(value, resources):
                yield "swap", path, other
        elif isinstance(value, bool):
            yield "weaken", path, not value
        elif isinstance(value, (int, float)):
            yield "more", path, value * 10 or 10
            if value:
                yield "less", path, value // 10
        elif isinstance(value, str) and value.isdigit() and value not in WEAKER:
            yield "more", path, str(int(value) * 10)
            yield "less", path, str(int(value) // 10)
        elif isinstance(value, str) and last not in SAID:
            yield "weaken", path, WEAKER.get(value, ELSEWHERE)
        for what, wider in _wider(path, value) if _allows(resource, path) else ():
            yield what, path, wider


def _places(value: Value, path: list[str | int]) -> Iterator[tuple[list[str | int], Value]]:
    """Every property, item and reference below a value, references as wholes."""
    if _is_reference(value):
        return
    parts = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, part in parts:
        if key in SAID or key == "Properties" and path:
            continue
        if path or key != "Properties":
            yield [*path, key], part
        yield from _places(part, [*path, key])


def _is_required(kind: str, path: list[str | int]) -> bool:
    return path[0] == "Properties" and is_required(kind, path[1:])


def _is_reference(value: Value) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt")


def _sibling(reference: Value, resources: Resources) -> Value:
    """The same of another resource of the type, or nothing if it is the only one."""
    ((function, argument),) = reference.items()
    name = argument if function == "Ref" else argument[0]
    kind = resources.get(name, {}).get("Type")
    others = sorted(one for one, resource in resources.items() if resource["Type"] == kind and one != name)
    if not others:
        return None
    return {"Ref": others[0]} if function == "Ref" else {"Fn::GetAtt": [others[0], argument[1]]}


def _allows(resource: Value, path: list[str | int]) -> bool:
    """Whether a place is not in a statement that denies, of which more is no defect."""
    places = [path[:end] for end in range(1, len(path))]
    return all(not isinstance(one, dict) or one.get("Effect") != "Deny" for one in (_at(resource, place) for place in places))


def _wider(path: list[str | int], value: Value) -> Iterator[tuple[str, Value]]:
    """More actions, resources, principals or addresses than there were."""
    about = next((part for part in reversed(path) if isinstance(part, str)), "")
    if isinstance(value, list) or value == "*":
        return
    if about == "Action" and isinstance(value, str) and ":" in value and not value.endswith(":*"):
        yield "widen", f"{value.split(':')[0]}:*"
    if about == "Action":
        yield "open", "*"
    if about == "Resource":
        yield "open", "*"
    if about in ("Service", "AWS"):
        yield "open", "*"


def _without(resources: Resources, name: str) -> Resources:
    """The stack as if a resource had never been thought of: what refers to it goes as far as the next list or property."""
    return {other: pruned for other, resource in resources.items() if other != name and (pruned := _pruned(resource, name)) is not MISSING}


def _pruned(value: Value, name: str) -> Value:
    if _is_reference(value):
        ((_, argument),) = value.items()
        return MISSING if (argument if isinstance(argument, str) else argument[0]) == name else value
    if isinstance(value, list):
        kept = [one for part in value if (one := _pruned(part, name)) is not MISSING]
        return kept if kept or not value else MISSING
    if not isinstance(value, dict):
        return value
    if "Fn::Join" in value:
        return MISSING if f'"{name}"' in json.dumps(value) else value
    result = {}
    for key, part in value.items():
        if key == "DependsOn":
            waits = [one for one in (part if isinstance(part, list) else [part]) if one != name]
            if waits:
                result[key] = waits
        elif (one := _pruned(part, name)) is not MISSING:
            result[key] = one
    return result if result or not value else MISSING


def _at(value: Value, path: list[str | int]) -> Value:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return value


def _with(value: Value, path: list[str | int], new: Value) -> Value:
    """A copy in which the value at a path is another, or is gone."""
    part, rest = path[0], path[1:]
    copy = list(value) if isinstance(value, list) else dict(value)
    if rest:
        copy[part] = _with(value[part], rest, new)
    elif new is MISSING:
        del copy[part]
    else:
        copy[part] = new
    return copy


def _judge(chosen: list[Mutant]) -> dict[str, str]:
    """The rule that finds each, by as many processes as there are processors."""
    workers = os.cpu_count() or 1
    _chosen[:] = chosen
    # Forked, they have the mutants already. Neighbours go to one worker, since one rule finds most of them.
    size = max(1, min(100, len(chosen) // workers))
    starts = range(0, len(chosen), size)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        parts = pool.starmap(_judge_part, [(start, start + size) for start in starts], chunksize=1)
    return {name: rule for part in parts for name, rule in part}


def _seconds() -> float:
    """What this process and those it started have computed."""
    return sum(os.times()[:4])


_chosen: list[Mutant] = []


def _judge_part(start: int, end: int) -> list[tuple[str, str]]:
    return [(mutant.name(), is_found(mutant)) for mutant in _chosen[start:end]]


def main(arguments: list[str]) -> int:
    """Runs all of them, or a sample."""
    made = list(mutants())
    whole = arguments[:1] != ["sample"]
    numbers = range(len(made)) if whole else sorted(random.Random(SEED).sample(range(len(made)), int(arguments[1])))  # noqa: S311, no secret
    chosen = [made[number] for number in numbers]
    found = _judge(chosen)
    if len(found) != len(chosen):
        sys.exit("two mutants have one name")
    listed = survivors() if arguments[:1] != ["list"] else {}
    if arguments[:1] == ["list"]:
        print("\n".join(name for name, rule in found.items() if not rule))
        return 0
    problems = judged(found, listed, whole)
    kinds = Counter(mutant.what for mutant in chosen)
    killed = sum(bool(rule) for rule in found.values())
    print(f"{len(found)} defects of {len(made)} made: {', '.join(f'{number} {what}' for what, number in sorted(kinds.items()))}")
    print(f"{killed} found, {len(found) - killed} survive ({_seconds():.0f} s of computing)")
    print("\n".join(problems), file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
