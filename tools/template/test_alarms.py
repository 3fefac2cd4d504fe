"""Tests of the alarms' evaluator, by tables out of CloudWatch's documentation."""

from __future__ import annotations

import unittest
from typing import Any

from alarm import AlarmError, calculate, state, statistic


def alarm(**changed: Any) -> dict[str, Any]:
    """One of three periods above ten."""
    usual = {"EvaluationPeriods": 3, "Threshold": 10, "ComparisonOperator": "GreaterThanThreshold", "Period": 60, "Statistic": "Sum"}
    return {**usual, **changed}


class States(unittest.TestCase):
    """The state of an alarm, from its periods; 0 and 15 are datapoints, none is a missing one."""

    def check(self, expected: str, periods: list[float | None], before: str = "OK", **changed: Any) -> None:
        with self.subTest(periods=periods, changed=changed, before=before):
            self.assertEqual(state(alarm(**changed), periods, before), expected)

    def test_all_of_n_or_m_of_them(self) -> None:
        self.check("ALARM", [15, 15, 15])
        self.check("OK", [15, 0, 15])
        self.check("ALARM", [15, 0, 15], DatapointsToAlarm=2)
        self.check("OK", [15, 0, 0], DatapointsToAlarm=2)
        # Older periods than N are not looked at.
        self.check("OK", [15, 15, 15, 0, 0, 0], DatapointsToAlarm=1)

    def test_comparisons(self) -> None:
        for operator, at, above, below in (
            ("GreaterThanThreshold", "OK", "ALARM", "OK"),
            ("GreaterThanOrEqualToThreshold", "ALARM", "ALARM", "OK"),
            ("LessThanThreshold", "OK", "OK", "ALARM"),
            ("LessThanOrEqualToThreshold", "ALARM", "OK", "ALARM"),
        ):
            for expected, value in ((at, 10), (above, 11), (below, 9)):
                self.check(expected, [value], EvaluationPeriods=1, ComparisonOperator=operator)

    def test_missing_data(self) -> None:
        # The documentation's own rows, for three of three periods: 0 X 0, - - -, X - X and so on.
        for periods, missing, ignore, breaching, not_breaching in (
            ([0, 15, 0], "OK", "OK", "OK", "OK"),
            ([None, None, None], "INSUFFICIENT_DATA", "before", "ALARM", "OK"),
            ([None, None, 0], "OK", "OK", "OK", "OK"),
            ([15, None, 15], "before", "before", "ALARM", "OK"),
            ([15, 15, 15], "ALARM", "ALARM", "ALARM", "ALARM"),
        ):
            for treat, expected in (("missing", missing), ("ignore", ignore), ("breaching", breaching), ("notBreaching", not_breaching)):
                for before in ("OK", "ALARM"):
                    self.check(before if expected == "before" else expected, periods, before, TreatMissingData=treat)

    def test_settings_that_cloudwatch_refuses(self) -> None:
        for changed in ({"DatapointsToAlarm": 4}, {"EvaluationPeriods": 0}, {"ComparisonOperator": "x"}, {"TreatMissingData": "x"},
                        {"Period": 60, "EvaluationPeriods": 2000}, {"Period": 86400, "EvaluationPeriods": 8}):  # fmt: skip
            with self.subTest(changed), self.assertRaises(AlarmError):
                state(alarm(**changed), [0.0] * 2000)

    def test_statistics(self) -> None:
        for name, expected in (("Sum", 6), ("Maximum", 3), ("Minimum", 1), ("Average", 2), ("SampleCount", 3)):
            self.assertEqual(statistic(alarm(Statistic=name), [1, 2, 3]), expected)
        self.assertIsNone(statistic(alarm(), []))
        with self.assertRaises(AlarmError):
            statistic(alarm(Statistic="p95"), [1])

    def test_metric_math(self) -> None:
        for expression, expected in (
            ("a + b * 2", 14),
            ("(a + b) * 2", 20),
            ("100 * a / b", 150),
            ("IF(a > 0, 100 * a / b, 0)", 150),
            ("IF(a < b, 1, 2)", 2),
            ("a - b - 1", 1),
            ("a / (b - 4)", None),
        ):
            with self.subTest(expression):
                self.assertEqual(calculate(expression, {"a": 6.0, "b": 4.0}), expected)
        self.assertIsNone(calculate("a + b", {"a": 6.0, "b": None}))
        for wrong in ("a +", "c", "a ^ b", "IF(a, b)", "a b", "(a"):
            with self.subTest(wrong), self.assertRaises(AlarmError):
                calculate(wrong, {"a": 6.0, "b": 4.0})


if __name__ == "__main__":
    unittest.main()
