"""Rules about alarms and graphs: they look at what is really there, and their arithmetic is what alarms.json says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sources
from alarm import AlarmError, Point, period, state, statistic
from documents import Value
from graph import Resources, key, of_type, variables
from policy import named, text

TABLE = json.loads((Path(__file__).resolve().parents[1] / "alarms.json").read_text(encoding="utf-8"))


def metrics_exist(resources: Resources) -> Iterator[str]:
    """Alarms and graphs name metrics that the binaries or AWS emit, by namespace, dimension and a resource that is there."""
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm"):
        seen = [_seen(resources, metric) for metric in _metrics(alarm)]
        yield from (f"{name}: {one}" for one in seen if one.startswith("nobody"))
        wanted = TABLE["alarms"].get(name, {"metric": "", "about": ""})
        space, *expected = wanted["metric"].split()
        found = sorted(f"{space} {metric} {wanted['about']}" for metric in expected)
        if sorted(seen) != found and not _is_given(resources, wanted["about"]):
            yield f"{name} looks at {seen}, not at {found}"
    for name, dashboard in of_type(resources, "AWS::CloudWatch::Dashboard"):
        graphed = [_seen(resources, metric) for metric in _graphed(dashboard["DashboardBody"])]
        yield from (f"{name}: {one}" for one in graphed if one.startswith("nobody"))
        for about, expected in TABLE["dashboard"].items():
            for metric in expected:
                if metric not in graphed and not _is_given(resources, metric.split()[-1]):
                    yield f"{name} says nothing of {about}: {metric}"


def alarms_ring_when_they_should(resources: Resources) -> Iterator[str]:
    """Each alarm's state, from its own settings, for the datapoints of alarms.json, and its end is told where that is expected."""
    alarms = dict(of_type(resources, "AWS::CloudWatch::Alarm"))
    for name in sorted(set(alarms) - set(TABLE["alarms"])):
        yield f"{name} has no cases"
    for name, expected in TABLE["alarms"].items():
        if name not in alarms:
            # Only the database may be another's, of which nothing is known.
            if expected["about"] != "Cluster" or "Cluster" in resources:
                yield f"there is no alarm {name}"
            continue
        alarm = alarms[name]
        if bool(expected.get("all_clear")) != (key(alarm.get("OKActions")) == key(alarm.get("AlarmActions"))):
            yield f"{name}: its end is {'not told' if expected.get('all_clear') else 'told'}"
        for case in expected["cases"]:
            try:
                found = state(alarm, _periods(alarm, case, _days(resources)))
            except AlarmError as error:
                yield f"{name}: {error}"
                break
            if found != case["state"]:
                yield f"{name} is {found}, not {case['state']}: {case['why']}"


RULES = (metrics_exist, alarms_ring_when_they_should)


def _metrics(alarm: Value) -> list[tuple[str, str, str, str]]:
    """Namespace, name, and the one dimension with its value of each metric of an alarm."""
    metrics = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one] or [alarm]
    return [
        (text(one["Namespace"]), one["MetricName"], dimension["Name"], text(dimension["Value"]))
        for one in metrics
        for dimension in one.get("Dimensions", [{"Name": "", "Value": ""}])
    ]


def _seen(resources: Resources, metric: tuple[str, str, str, str]) -> str:
    """A metric as alarms.json names it, or who does not emit it."""
    space, name, dimension, value = metric
    known = TABLE["aws"].get(space)
    if known is not None:
        about = named(value) or value
        if dimension != known["dimension"] or name not in known["metrics"]:
            return f"nobody: {space} has no {name} by {dimension}"
        if named(value) and resources.get(about, {}).get("Type") != known.get("type"):
            return f"nobody: {about} is no {known.get('type')}"
        return f"{space} {name} {about}"
    spaces = {text(variables(function).get("METRICS_NAMESPACE", "")) for _, function in of_type(resources, "AWS::Lambda::Function")}
    if {space} != spaces or dimension != "service":
        return f"nobody: the functions emit into {sorted(spaces)} by service, not into {space} by {dimension}"
    if name not in sources.metrics().get(value, {}):
        return f"nobody: {value} emits no {name}"
    return f"own {name} {value}"


def _is_given(resources: Resources, about: str) -> bool:
    """Whether a resource is not the stack's own, but named by a parameter."""
    return about == "Cluster" and about not in resources


def _graphed(body: Value) -> Iterator[tuple[str, str, str, str]]:
    """The metrics of a dashboard; a dot stands for the field above."""
    for widget in json.loads(text(body))["widgets"]:
        above: list[str] = []
        for metric in widget["properties"]["metrics"]:
            fields = [field for field in metric if isinstance(field, str)]
            above = [above[index] if field == "." else field for index, field in enumerate(fields)]
            yield above[0], above[1], above[2], above[3]


def _periods(alarm: Value, case: dict[str, Any], days: int) -> list[Point]:
    """A case's datapoints, each a time ago with a value, as the statistics of the alarm's own periods, the oldest first."""
    unit, given = next((seconds, case[name]) for name, seconds in (("minutes_ago", 60), ("hours_ago", 3600)) if name in case)
    length = period(alarm)
    result = []
    for number in reversed(range(int(alarm["EvaluationPeriods"]))):
        def within(points: list[list[Any]], number: int = number) -> list[float]:
            return [_value(value, days) for ago, value in points if number * length < ago * unit <= (number + 1) * length]

        samples = {name: within(points) for name, points in given.items()} if isinstance(given, dict) else within(given)
        result.append(statistic(alarm, samples))
    return result


def _value(value: Any, days: int) -> float:
    """A number, or one that is told from the days between two rotations."""
    if isinstance(value, str):
        more = re.fullmatch(r"days([+-]\d+)?", value)
        if more is None:
            raise AlarmError(f"no value: {value}")
        return float(days + int(more[1] or 0))
    return float(value)


def _days(resources: Resources) -> int:
    for _, schedule in of_type(resources, "AWS::SecretsManager::RotationSchedule"):
        found = re.search(r"\d+", text(schedule["RotationRules"]["ScheduleExpression"]))
        if found:
            return int(found[0])
    return 0
