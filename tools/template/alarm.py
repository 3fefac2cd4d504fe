"""Tells the state of an alarm from its datapoints, as CloudWatch does.

See CloudWatch's User Guide, "Using Amazon CloudWatch alarms": M datapoints out of N periods, and "Configuring how CloudWatch
alarms treat missing data". CloudWatch looks at a few periods more than N where some of the N are missing, and then needs no
treatment of them; this looks at the N alone, which differs only in the first minutes after data ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from documents import Value

Point = float | None


class AlarmError(Exception):
    """A setting that CloudWatch would refuse, or that this evaluator does not know."""


COMPARISONS = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
STATISTICS = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: sum(values) / len(values),
    "SampleCount": len,
}
# A metric that CloudWatch keeps for a day and longer is looked at for a week at most.
LONGEST = 7 * 86400


def state(alarm: dict[str, Value], periods: Sequence[Point], before: str = "OK") -> str:
    """`OK`, `ALARM` or `INSUFFICIENT_DATA`, from the statistic of each period, the oldest first; none is missing data."""
    of = int(alarm["EvaluationPeriods"])
    needed = int(alarm.get("DatapointsToAlarm", of))
    if not 1 <= needed <= of:
        raise AlarmError(f"{needed} of {of} datapoints")
    length = period(alarm)
    if of * length > LONGEST or of * length > 86400 and length < 3600:
        raise AlarmError(f"{of} periods of {length} seconds are too long")
    compare = COMPARISONS.get(alarm["ComparisonOperator"])
    if compare is None:
        raise AlarmError(f"no comparison of ours: {alarm['ComparisonOperator']}")
    window = list(periods)[-of:]
    if len(window) < of:
        raise AlarmError(f"{len(window)} periods are no {of}")
    missing = window.count(None)
    breaching = sum(point is not None and compare(point, float(alarm["Threshold"])) for point in window)
    treat = alarm.get("TreatMissingData", "missing")
    if treat == "breaching":
        return "ALARM" if breaching + missing >= needed else "OK"
    if treat == "notBreaching":
        return "ALARM" if breaching >= needed else "OK"
    if treat not in ("missing", "ignore"):
        raise AlarmError(f"no treatment of ours: {treat}")
    if breaching >= needed:
        return "ALARM"
    if missing == of:
        return before if treat == "ignore" else "INSUFFICIENT_DATA"
    # What is missing could have breached.
    return before if breaching + missing >= needed else "OK"


def period(alarm: dict[str, Value]) -> int:
    """Length of a period in seconds."""
    if "Metrics" not in alarm:
        return int(alarm["Period"])
    lengths = {int(one["MetricStat"]["Period"]) for one in alarm["Metrics"] if "MetricStat" in one}
    if len(lengths) != 1:
        raise AlarmError(f"periods of {sorted(lengths)} seconds in one alarm")
    return lengths.pop()


def statistic(alarm: dict[str, Value], samples: dict[str, list[float]] | list[float]) -> Point:
    """What one period comes to: a statistic of its samples, or an expression over those of several metrics by their ids."""
    if "Metrics" not in alarm:
        if not isinstance(samples, list):
            raise AlarmError("one metric has one list of samples")
        return _statistic(alarm["Statistic"], samples)
    if not isinstance(samples, dict):
        raise AlarmError("the samples of several metrics go by their ids")
    returned = [one for one in alarm["Metrics"] if one.get("ReturnData", True)]
    if len(returned) != 1:
        raise AlarmError(f"{len(returned)} metrics are returned, not 1")
    known = {
        one["Id"]: _statistic(one["MetricStat"]["Stat"], samples.get(one["Id"], []))
        for one in alarm["Metrics"]
        if "MetricStat" in one
    }
    if set(samples) - set(known):
        raise AlarmError(f"samples of no metric: {sorted(set(samples) - set(known))}")
    return calculate(returned[0]["Expression"], known) if "Expression" in returned[0] else known[returned[0]["Id"]]


def calculate(expression: str, known: dict[str, Point]) -> Point:
    """Metric math, as much of it as the stack uses: numbers, metrics, `+ - * /`, comparisons and `IF(condition, then, else)`.

    A metric without a value makes the whole expression one without.
    """
    tokens = re.findall(r"\s*([A-Za-z]\w*|\d+(?:\.\d+)?|>=|<=|==|[-+*/()<>,])", expression)
    if "".join(tokens) != re.sub(r"\s", "", expression):
        raise AlarmError(f"no metric math of ours: {expression}")
    used = {token for token in tokens if token[0].isalpha() and token != "IF"}
    if unknown := used - set(known):
        raise AlarmError(f"no metric has the id {', '.join(sorted(unknown))}")
    if any(known[name] is None for name in used):
        return None
    value = float(_Parser(tokens, known).whole())
    return None if math.isnan(value) else value


def _statistic(name: str, samples: list[float]) -> Point:
    if name not in STATISTICS:
        raise AlarmError(f"no statistic of ours: {name}")
    return float(STATISTICS[name](samples)) if samples else None


class _Parser:
    """Recursive descent, one method for each strength of an operator."""

    def __init__(self, tokens: list[str], known: dict[str, Any]) -> None:
        self.tokens = tokens
        self.known = known

    def whole(self) -> Any:
        value = self.comparison()
        if self.tokens:
            raise AlarmError(f"what is {self.tokens[0]}")
        return value

    def comparison(self) -> Any:
        left = self.sum()
        if self._next() in (">", "<", ">=", "<=", "=="):
            operator = self.tokens.pop(0)
            right = self.sum()
            results = {">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}
            return float(results.get(operator, left == right))
        return left

    def sum(self) -> Any:
        value = self.product()
        while self._next() in ("+", "-"):
            sign = 1 if self.tokens.pop(0) == "+" else -1
            value += sign * self.product()
        return value

    def product(self) -> Any:
        value = self.atom()
        while self._next() in ("*", "/"):
            if self.tokens.pop(0) == "*":
                value *= self.atom()
            else:
                divisor = self.atom()
                # A division by nothing is a missing point; IF does not look at what it does not take.
                value = float("nan") if divisor == 0 else value / divisor
        return value

    def atom(self) -> Any:
        if not self.tokens:
            raise AlarmError("the expression ends too early")
        token = self.tokens.pop(0)
        if token == "IF":
            self._take("(")
            condition = self.comparison()
            self._take(",")
            yes = self.comparison()
            self._take(",")
            no = self.comparison()
            self._take(")")
            return yes if condition else no
        if token == "(":
            value = self.comparison()
            self._take(")")
            return value
        if token in self.known:
            return self.known[token]
        try:
            return float(token)
        except ValueError:
            raise AlarmError(f"what is {token}") from None

    def _next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def _take(self, token: str) -> None:
        if self._next() != token:
            raise AlarmError(f"no {token} before {self._next() or 'the end'}")
        self.tokens.pop(0)
