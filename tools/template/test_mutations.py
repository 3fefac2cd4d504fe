"""Tests of what makes defects: each is one, they are many and always the same, and the list of survivors is exact."""

from __future__ import annotations

import json
import unittest
from typing import Any

import mutations
from mutations import MISSING, _defects, _pruned, _sibling, _with, _without, is_found, judged

STACK: dict[str, Any] = {
    "Key": {"Type": "AWS::KMS::Key", "Properties": {"EnableKeyRotation": True, "KeyPolicy": {}}},
    "Other": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {}}},
    "Queue": {
        "Type": "AWS::SQS::Queue",
        "DependsOn": ["Key", "Policy"],
        "DeletionPolicy": "Retain",
        "Properties": {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}, "VisibilityTimeout": 60, "QueueName": "q"},
    },
    "Policy": {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "PolicyDocument": {
                "Statement": [
                    {"Sid": "A", "Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}},
                    {"Sid": "B", "Effect": "Deny", "Action": "sqs:*", "Resource": {"Fn::Join": ["", [{"Ref": "Queue"}, "/x"]]}},
                ]
            }
        },
    },
}


class Defects(unittest.TestCase):
    """One place of a stack, and what becomes of it."""

    def made(self, name: str) -> set[str]:
        return {
            f"{what} {'/'.join(map(str, path))}{'' if value is MISSING else ' ' + json.dumps(value)}"
            for what, path, value in _defects(STACK[name], STACK)
        }

    def test_settings_are_dropped_and_changed(self) -> None:
        made = self.made("Queue")
        for one in (
            "drop DependsOn",
            "drop DependsOn/0",
            "drop DeletionPolicy",
            'weaken DeletionPolicy "Delete"',
            "drop Properties/VisibilityTimeout",
            "more Properties/VisibilityTimeout 600",
            "less Properties/VisibilityTimeout 6",
            'weaken Properties/QueueName "elsewhere"',
        ):
            self.assertIn(one, made)
        self.assertIn("weaken Properties/EnableKeyRotation false", self.made("Key"))

    def test_references_are_cut_and_swapped(self) -> None:
        made = self.made("Queue")
        self.assertIn('cut Properties/KmsMasterKeyId "elsewhere"', made)
        self.assertIn('swap Properties/KmsMasterKeyId {"Fn::GetAtt": ["Other", "Arn"]}', made)
        self.assertIsNone(_sibling({"Ref": "Queue"}, STACK))

    def test_what_is_allowed_is_widened_and_what_is_denied_is_not(self) -> None:
        made = self.made("Policy")
        start = "Properties/PolicyDocument/Statement"
        self.assertIn(f'widen {start}/0/Action/0 "sqs:*"', made)
        self.assertIn(f'open {start}/0/Action/0 "*"', made)
        self.assertIn(f'open {start}/0/Resource "*"', made)
        self.assertIn(f'weaken {start}/1/Effect "Allow"', made)
        self.assertFalse(any(one.startswith(f"open {start}/1") for one in made))
        self.assertFalse(any("Sid" in one for one in made))

    def test_what_cloudformation_refuses_is_no_defect(self) -> None:
        # A managed policy without a document, or a key without a policy, cannot be deployed.
        self.assertNotIn("drop Properties/PolicyDocument", self.made("Policy"))

    def test_a_removed_resource_takes_along_what_refers_to_it(self) -> None:
        rest = _without(STACK, "Queue")
        self.assertEqual(set(rest), {"Key", "Other", "Policy"})
        self.assertNotIn("Queue", json.dumps(rest))
        statements = rest["Policy"]["Properties"]["PolicyDocument"]["Statement"]
        self.assertEqual([one["Sid"] for one in statements], ["A", "B"])
        self.assertNotIn("Resource", statements[0])
        self.assertEqual(_without(STACK, "Key")["Queue"]["DependsOn"], ["Policy"])
        self.assertIs(_pruned([{"Ref": "Queue"}], "Queue"), MISSING)

    def test_the_stack_itself_stays_as_it_is(self) -> None:
        before = json.dumps(STACK)
        changed = _with(STACK["Policy"], ["Properties", "PolicyDocument", "Statement", 0, "Effect"], "Deny")
        self.assertEqual(changed["Properties"]["PolicyDocument"]["Statement"][0]["Effect"], "Deny")
        self.assertEqual(json.dumps(STACK), before)


class Runs(unittest.TestCase):
    """A run as a whole, without its rules."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.made = list(mutations.mutants())

    def test_there_are_many_with_a_name_each(self) -> None:
        names = [mutant.name() for mutant in self.made]
        self.assertGreaterEqual(len(names), 2000)
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(names, [mutant.name() for mutant in mutations.mutants()])
        for kind in ("remove", "drop", "weaken", "more", "less", "cut", "swap", "widen", "open"):
            self.assertTrue(any(f": {kind} " in name for name in names), kind)

    def test_each_differs_from_its_stack(self) -> None:
        known = {base: mutations.evaluate(mutations.variants()[base])["Resources"] for base in mutations.BASES}
        for mutant in self.made[::50]:
            self.assertNotEqual(mutant.resources, known[mutant.base], mutant.name())

    def test_the_five_that_no_public_tool_finds_are_found(self) -> None:
        by_name = {mutant.name(): mutant for mutant in self.made}
        for name in (
            "prod: open CapturePolicy/Properties/PolicyDocument/Statement/0/Resource",
            "prod: remove RotationFailed",
            "prod: weaken DataKey/Properties/KeyPolicy/Statement/3/Principal/Service",
            "prod: drop CaptureFunction/DependsOn",
            "prod: less Cluster/Properties/BackupRetentionPeriod",
        ):
            self.assertTrue(is_found(by_name[name]), name)

    def test_survivors_are_listed_exactly(self) -> None:
        found = {"a": "rule", "b": "", "c": ""}
        self.assertEqual(judged(found, {"b": "why", "c": "why"}, True), [])
        self.assertEqual(judged(found, {"b": "why"}, True), ["survives: c"])
        self.assertEqual(len(judged(found, {"a": "why", "b": "why", "c": "why"}, True)), 1)
        self.assertEqual(len(judged(found, {"b": "why", "c": "why", "gone": "why"}, True)), 1)
        # A sample does not make all of them.
        self.assertEqual(judged(found, {"b": "why", "c": "why", "gone": "why"}, False), [])

    def test_every_survivor_is_made_and_has_a_reason(self) -> None:
        names = {mutant.name() for mutant in self.made}
        listed = json.loads(mutations.SURVIVORS.read_text(encoding="utf-8"))
        mutants = [name for one in listed for name in one["mutants"]]
        self.assertEqual(len(set(mutants)), len(mutants))
        self.assertEqual(set(mutants) - names, set())
        for one in listed:
            self.assertTrue(one["reason"].endswith("."), one)


if __name__ == "__main__":
    unittest.main()
