"""Tests of the pages that are made from the template: what they claim goes when the resource goes."""

from __future__ import annotations

import copy
import datetime
import json
import unittest
from typing import Any

import controls
import cost
import public
from evaluate import evaluate, variants


def prod() -> dict[str, Any]:
    """The resources of prod, to be changed."""
    return copy.deepcopy(evaluate(variants()["prod"])["Resources"])


class Costs(unittest.TestCase):
    """Bills against sums made by hand."""

    def test_an_idle_month(self) -> None:
        counts = cost.Counts.of(prod())
        self.assertEqual((counts.secrets, counts.keys, counts.endpoint_zones, counts.instances), (2, 2, 2, 2))
        self.assertEqual((counts.alarm_metrics, counts.dashboards, counts.trail), (13, 1, True))
        bill = {line.what: round(line.usd, 2) for line in cost.idle(counts)}
        self.assertEqual(bill["Secrets"], 0.80)
        self.assertEqual(bill["Endpoint of Secrets Manager"], 14.60)
        self.assertEqual(bill["Alarms"], 0.30)
        self.assertEqual(bill["Lambda looking into the queue"], 0.0)
        without = {line.what: round(line.usd, 2) for line in cost.idle(counts, free=False)}
        self.assertEqual((without["Alarms"], without["Dashboard"]), (1.30, 3.00))
        self.assertEqual(without["Lambda looking into the queue"], 0.26)

    def test_a_database_that_never_pauses(self) -> None:
        counts = cost.Counts.of(evaluate(variants()["always-on"])["Resources"])
        self.assertAlmostEqual(next(line.usd for line in cost.idle(counts) if line.what == "Database"), 87.60)

    def test_a_copy_of_the_secret_is_one_more(self) -> None:
        self.assertEqual(cost.Counts.of(evaluate(variants()["shared"])["Resources"]).secrets, 3)

    def test_redaction_is_one_secret_more(self) -> None:
        plain, redacted = cost.Counts.of(prod()), cost.Counts.of(evaluate(variants()["redacted"])["Resources"])
        self.assertEqual(redacted, plain._replace(secrets=3))
        self.assertIn("0.40 × 3 then, and the sum of `prod` 18.22", cost.page(cost.counted()))

    def test_old_prices_and_dear_stacks_are_found(self) -> None:
        counts = {name: cost.Counts.of(prod()) for name in cost.SHOWN}
        newest = max(datetime.date.fromisoformat(one["checked"]) for one in cost.PRICES.values())
        found = cost.problems(counts, newest + datetime.timedelta(days=181))
        self.assertEqual(sum("checked on" in problem for problem in found), len(cost.PRICES))
        dear = counts["prod"]._replace(endpoint_zones=7)
        self.assertEqual(
            [problem for problem in cost.problems({**counts, "prod": dear}, newest) if "idle prod" in problem],
            ["an idle prod stack costs 54.32, more than 20.00"],
        )


class Controls(unittest.TestCase):
    """Claims go with their resources, and do not hold by being written."""

    def test_a_claim_goes_with_its_resource(self) -> None:
        resources = prod()
        self.assertIn("| CloudTrail.1 |", controls.page(resources))
        del resources["AuditTrail"]
        page = controls.page(resources)
        self.assertNotIn("| CloudTrail.1 |", page)
        self.assertNotIn("Who did what is recorded", page)

    def test_a_claim_that_does_not_hold_says_why(self) -> None:
        resources = prod()
        self.assertEqual(controls.problems(resources), [])
        resources["Writer"]["Properties"]["PubliclyAccessible"] = True
        found = controls.problems(resources)
        self.assertIn("RDS.2: not Writer", found)
        self.assertTrue(any("Writer is public" in problem for problem in found))

    def test_one_resource_of_several_is_enough_where_it_says_so(self) -> None:
        resources = prod()
        del resources["CloseDefaultGroupOutward"]
        self.assertIn("EC2.2: not there", controls.problems(resources))


class Reports(unittest.TestCase):
    """Reports of public tools are read whole."""

    def test_a_guard_report_names_its_resources_at_any_depth(self) -> None:
        report = {"a": [{"value": {"path": "/Resources/One/Properties/X"}}, {"path": "/Resources/Two"}], "path": None}
        self.assertEqual(public._resources(report), {"One", "Two"})

    def test_every_exception_has_a_reason(self) -> None:
        for one in json.loads(public.EXCEPTIONS.read_text(encoding="utf-8")):
            self.assertTrue(one["reason"].endswith("."), one)


if __name__ == "__main__":
    unittest.main()
