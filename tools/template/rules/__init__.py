"""The project's own promises, each a question to an evaluated template that no public checker asks, or not of every variant.

A rule yields what is wrong. fixtures.json has for each at least one edit of the evaluated stack that it must find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graph import Resources

from . import access, alarms, alerts, data, database, events, functions, network, secret, settings, ways

Rule = Callable[[Resources], Iterator[str]]

RULES: dict[str, Rule] = {
    rule.__name__: rule for group in (secret, database, functions, data, ways, network, settings, alerts, alarms, events, access) for rule in group.RULES
}
