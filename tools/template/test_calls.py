"""Tests of what the functions called in a whole end-to-end run: their roles allow that, and nothing else."""

from __future__ import annotations

import unittest
from unittest import mock

import access
import calls
import evaluate
import sources
from rules import access as rules

# Where the objects of the tests are that are not the archive's, each with what they are.
NOT_THE_ARCHIVES = {
    "bodies/": "of a bucket in CLAIM_CHECK_BUCKETS",
    "exports/": "likewise",
    "t%3Ddefault/": "likewise",
}


class Calls(unittest.TestCase):
    """The calls of a run, in place of those that are read in the sources."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.stacks = {name: evaluate.evaluate(variant)["Resources"] for name, variant in evaluate.variants().items()}
        cls.made = calls.known()

    def test_a_run_makes_the_calls_that_are_read_in_the_sources(self) -> None:
        made = {(function, operation) for function, operations in self.made.items() for operation in operations}
        read = {(function, operation) for function, operations in sources.calls().items() for operation in operations}
        self.assertEqual(made, read)

    def test_the_objects_of_a_run_are_in_the_archives_folders(self) -> None:
        folders = {folder for operations in self.made.values() for folders in operations.values() for folder in folders}
        self.assertEqual(folders - set(NOT_THE_ARCHIVES), set(sources.prefixes()))

    def test_the_roles_allow_the_calls_of_a_run_and_no_others(self) -> None:
        for variant, resources in self.stacks.items():
            with self.subTest(variant=variant):
                self.assertEqual(self._found(resources, self.made), [])

    def test_a_call_more_is_refused_and_one_less_is_unused(self) -> None:
        prod = self.stacks["prod"]
        more = {**self.made, "conversation-capture": {**self.made["conversation-capture"], "s3:DeleteObject": []}}
        self.assertTrue(any("refused" in problem and "s3:DeleteObject" in problem for problem in self._found(prod, more)))
        less = {**self.made, "secret-rotation": {"secretsmanager:DescribeSecret": []}}
        self.assertTrue(any("nobody needs secretsmanager:PutSecretValue" in problem for problem in self._found(prod, less)))

    def _found(self, resources: access.Resources, made: calls.Calls) -> list[str]:
        """What the rules about calls have against the policies when these are the calls."""
        of_functions = {function: set(operations) for function, operations in made.items()}
        # The rules keep the calls of the last stack.
        rules._last.clear()
        try:
            with mock.patch.object(sources, "calls", lambda: of_functions):
                return [problem for rule in (rules.calls_are_allowed, rules.nothing_unused_is_allowed) for problem in rule(resources)]
        finally:
            rules._last.clear()


class Records(unittest.TestCase):
    """The record of a run against the one that was kept."""

    def test_what_is_new_and_what_is_missing_is_named(self) -> None:
        kept = calls.recorded("f s3:PutObject a/\nf s3:PutObject a/\nf sts:Get\n")
        self.assertEqual(kept, {"f": {"s3:PutObject": ["a/"], "sts:Get": []}})
        made = calls.recorded("f s3:PutObject b/\nf sts:Get\n")
        self.assertEqual(calls.problems(kept, kept, is_part=False), [])
        self.assertEqual(
            calls.problems(made, kept, is_part=False),
            [
                "f s3:PutObject b/: a new call; its role has to allow it",
                "f s3:PutObject a/: no test makes this call; its role need not allow it",
            ],
        )
        self.assertEqual(len(calls.problems(made, kept, is_part=True)), 1)


if __name__ == "__main__":
    unittest.main()
