"""Tests of the event patterns' matcher, by a table of what EventBridge's documentation says."""

from __future__ import annotations

import unittest
from typing import Any

from event_pattern import PatternError, matches
from rules.events import samples

EVENT: dict[str, Any] = {
    "source": "aws.ec2",
    "resources": ["one", "two"],
    "detail": {
        "state": "running",
        "count": 5,
        "share": 0.5,
        "nothing": None,
        "yes": True,
        "empty": "",
        "path": "a/lib/b.png",
        "deep": {"er": "x"},
        "list": [{"name": "a", "size": 1}, {"name": "b", "size": 2}],
    },
}


class Patterns(unittest.TestCase):
    """One pattern, one event."""

    def test_by_table(self) -> None:
        for expected, detail in (
            (True, {"state": ["running"]}),
            (True, {"state": ["stopped", "running"]}),
            (False, {"state": ["Running"]}),
            (False, {"state": ["stopped"]}),
            (True, {"state": ["running"], "count": [5]}),
            (False, {"state": ["running"], "count": [6]}),
            (True, {"count": [5.0]}),
            (False, {"count": ["5"]}),
            (True, {"nothing": [None]}),
            (False, {"absent": [None]}),
            (True, {"yes": [True]}),
            (False, {"yes": [1]}),
            (True, {"empty": [""]}),
            (True, {"deep": {"er": ["x"]}}),
            (False, {"deep": ["x"]}),
            (False, {"state": {"er": ["x"]}}),
            (True, {"state": [{"prefix": "run"}]}),
            (False, {"state": [{"prefix": "RUN"}]}),
            (True, {"state": [{"prefix": {"equals-ignore-case": "RUN"}}]}),
            (True, {"state": [{"suffix": "ing"}]}),
            (False, {"count": [{"prefix": "5"}]}),
            (True, {"state": [{"equals-ignore-case": "RUNNING"}]}),
            (True, {"path": [{"wildcard": "*/lib/*"}]}),
            (True, {"path": [{"wildcard": "a/*.png"}]}),
            (False, {"path": [{"wildcard": "lib/*"}]}),
            (False, {"path": [{"wildcard": "a/lib/b?png"}]}),
            (True, {"state": [{"anything-but": "stopped"}]}),
            (False, {"state": [{"anything-but": ["stopped", "running"]}]}),
            (True, {"state": [{"anything-but": {"prefix": "stop"}}]}),
            (False, {"path": [{"anything-but": {"suffix": ".png"}}]}),
            (False, {"path": [{"anything-but": {"wildcard": "*/lib/*"}}]}),
            # Why the rule about readers has an $or: what is not there is not something else.
            (False, {"absent": [{"anything-but": "stopped"}]}),
            (True, {"count": [{"numeric": [">", 0, "<=", 5]}]}),
            (False, {"count": [{"numeric": [">", 5]}]}),
            (True, {"share": [{"numeric": ["=", 0.5]}]}),
            (False, {"state": [{"numeric": [">", 0]}]}),
            (True, {"state": [{"exists": True}]}),
            (False, {"absent": [{"exists": True}]}),
            (True, {"absent": [{"exists": False}]}),
            (False, {"state": [{"exists": False}]}),
            (True, {"absent": {"deeper": [{"exists": False}]}}),
            (False, {"absent": {"deeper": ["x"]}}),
            # `exists` is about values, not about objects.
            (False, {"deep": [{"exists": True}]}),
            (True, {"state": ["stopped", {"prefix": "run"}]}),
            (True, {"list": {"name": ["b"]}}),
            (False, {"list": {"name": ["c"]}}),
            # Of one object, not of two.
            (False, {"list": {"name": ["a"], "size": [2]}}),
            (True, {"$or": [{"state": ["stopped"]}, {"count": [5]}]}),
            (False, {"$or": [{"state": ["stopped"]}, {"count": [6]}]}),
            (False, {"state": ["stopped"], "$or": [{"count": [5]}, {"count": [6]}]}),
        ):
            with self.subTest(detail=detail):
                self.assertEqual(matches({"detail": detail}, EVENT), expected)
        self.assertTrue(matches({"resources": ["two", "three"]}, EVENT))
        self.assertTrue(matches({"resources": [{"anything-but": ["one"]}]}, EVENT))
        self.assertFalse(matches({"source": ["aws.s3"], "resources": ["two"]}, EVENT))

    def test_what_eventbridge_refuses_is_refused(self) -> None:
        for pattern in (
            {},
            {"source": "aws.ec2"},
            {"source": []},
            {"source": [{"cidr": "10.0.0.0/8"}]},
            {"source": [{"prefix": "a", "suffix": "b"}]},
            {"source": [{"wildcard": "a**b"}]},
            {"detail": {"count": [{"numeric": ["between", 1]}]}},
            {"source": [{"anything-but": []}]},
            {"$or": [{"source": ["aws.ec2"]}]},
        ):
            with self.subTest(pattern), self.assertRaises(PatternError):
                matches(pattern, EVENT)

    def test_every_sample_says_why(self) -> None:
        for name, kinds in samples().items():
            self.assertEqual(set(kinds), {"matching", "other"}, name)
            for cases in kinds.values():
                reasons = [case["why"] for case in cases]
                self.assertEqual(len(set(reasons)), len(reasons), name)


if __name__ == "__main__":
    unittest.main()
