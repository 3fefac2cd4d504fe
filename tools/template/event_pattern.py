"""Matches events with patterns as EventBridge does.

See EventBridge's User Guide, "Creating Amazon EventBridge event patterns" and "Comparison operators". What the documentation has
and no rule of the stack uses, such as `cidr`, is refused instead of guessed.
"""

from __future__ import annotations

import re
from typing import Any

MISSING = object()


class PatternError(Exception):
    """A pattern that EventBridge would refuse, or that this matcher does not know."""


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether an event has what a pattern asks for; fields that it does not name are of no concern."""
    if not isinstance(pattern, dict) or not pattern:
        raise PatternError(f"no pattern: {pattern}")
    for field, wanted in pattern.items():
        if field == "$or":
            if not isinstance(wanted, list) or len(wanted) < 2:
                raise PatternError("$or wants two patterns at least")
            # All of them are looked at, so that a mistake in the second is no secret of the first.
            if not any([matches(one, event) for one in wanted]):
                return False
        elif isinstance(wanted, dict):
            inner = event.get(field)
            # Of an array one object is enough, and `exists: false` is true of what lies in an object that is not there.
            objects = inner if isinstance(inner, list) else [inner]
            if not any([matches(wanted, one if isinstance(one, dict) else {}) for one in objects or [{}]]):
                return False
        elif isinstance(wanted, list):
            if not wanted:
                raise PatternError(f"{field} may be nothing")
            if not _leaf(wanted, event.get(field, MISSING)):
                return False
        else:
            raise PatternError(f"{field}: a value stands in a list")
    return True


def _leaf(wanted: list[Any], given: Any) -> bool:
    # Of an array one element is enough.
    candidates = given if isinstance(given, list) else [given]
    return any([_test(test, one) for test in wanted for one in candidates])


def _test(test: Any, given: Any) -> bool:
    if not isinstance(test, dict):
        return given is not MISSING and _same(test, given)
    if len(test) != 1:
        raise PatternError(f"one operator at a time: {test}")
    ((operator, argument),) = test.items()
    if operator == "exists":
        return (given is not MISSING and not isinstance(given, dict)) == argument
    if given is MISSING or isinstance(given, dict):
        return False
    match operator:
        case "prefix" | "suffix" | "wildcard" | "equals-ignore-case":
            return _text(operator, argument, given)
        case "anything-but":
            return _anything_but(argument, given)
        case "numeric":
            return _numeric(argument, given)
    raise PatternError(f"no operator of ours: {operator}")


def _same(test: Any, given: Any) -> bool:
    if isinstance(test, (bool, type(None))) or isinstance(given, (bool, type(None))):
        return test is given
    if isinstance(test, (int, float)) and isinstance(given, (int, float)):
        return test == given
    return type(test) is type(given) and test == given


def _text(operator: str, argument: Any, given: Any) -> bool:
    if isinstance(argument, dict):
        ((inner, argument),) = argument.items()
        if inner != "equals-ignore-case" or operator not in ("prefix", "suffix"):
            raise PatternError(f"no such {operator}: {inner}")
        argument, given = argument.lower(), given.lower() if isinstance(given, str) else given
    if not isinstance(argument, str):
        raise PatternError(f"{operator} takes text")
    if not isinstance(given, str):
        return False
    match operator:
        case "prefix":
            return given.startswith(argument)
        case "suffix":
            return given.endswith(argument)
        case "equals-ignore-case":
            return given.lower() == argument.lower()
    if "**" in argument:
        raise PatternError("two stars beside each other")
    parts = [re.escape(part) for part in argument.split("*")]
    return bool(re.fullmatch(".*".join(parts), given, re.DOTALL))


def _anything_but(argument: Any, given: Any) -> bool:
    if isinstance(argument, dict):
        ((operator, values),) = argument.items()
        return not any(_text(operator, value, given) for value in (values if isinstance(values, list) else [values]))
    values = argument if isinstance(argument, list) else [argument]
    if not values:
        raise PatternError("anything-but nothing")
    return not any(_same(value, given) for value in values)


def _numeric(argument: list[Any], given: Any) -> bool:
    compare = {
        "=": lambda left, right: left == right,
        "<": lambda left, right: left < right,
        "<=": lambda left, right: left <= right,
        ">": lambda left, right: left > right,
        ">=": lambda left, right: left >= right,
    }
    if len(argument) not in (2, 4) or any(one not in compare for one in argument[::2]):
        raise PatternError(f"no range: {argument}")
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return False
    return all(compare[operator](given, bound) for operator, bound in zip(argument[::2], argument[1::2], strict=True))
