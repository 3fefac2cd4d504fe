"""Tests of what tools/template computes. They read the template and no network."""

from __future__ import annotations

import copy
import json
import unittest
from pathlib import Path
from typing import Any

import account
import evaluate
import functions
from rules import RULES

FIXTURES = json.loads(Path(__file__).with_name("fixtures.json").read_text(encoding="utf-8"))


def edited(resources: dict[str, Any], fixture: dict[str, Any]) -> dict[str, Any]:
    """The resources with a fixture's edits."""
    result = copy.deepcopy(resources)
    for path, value in fixture.get("set", {}).items():
        *folders, last = path.split("/")
        _descend(result, folders)[_index(last)] = value
    for path in fixture.get("remove", []):
        *folders, last = path.split("/")
        del _descend(result, folders)[_index(last)]
    return result


def _descend(value: Any, folders: list[str]) -> Any:
    for folder in folders:
        value = value[_index(folder)]
    return value


def _index(name: str) -> str | int:
    # `~1` is a slash in a name, as in a JSON pointer.
    return int(name) if name.isdigit() else name.replace("~1", "/")


class Rules(unittest.TestCase):
    """Every rule holds for the stack, and finds each of its fixtures."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.stacks = {name: evaluate.evaluate(variant) for name, variant in evaluate.variants().items()}

    def test_every_rule_holds_in_every_variant(self) -> None:
        for variant, stack in self.stacks.items():
            for name, rule in RULES.items():
                with self.subTest(variant=variant, rule=name):
                    self.assertEqual(list(rule(stack["Resources"])), [])

    def test_every_rule_finds_its_fixtures(self) -> None:
        for number, fixture in enumerate(FIXTURES):
            resources = self.stacks[fixture.get("variant", "prod")]["Resources"]
            with self.subTest(number=number, fixture=fixture):
                self.assertNotEqual(list(RULES[fixture["rule"]](edited(resources, fixture))), [])

    def test_every_rule_has_a_fixture(self) -> None:
        self.assertEqual({fixture["rule"] for fixture in FIXTURES}, set(RULES))


class Evaluation(unittest.TestCase):
    """The evaluator does what CloudFormation does."""

    def stack(self, **template: Any) -> evaluate.Stack:
        stack = evaluate.Stack.__new__(evaluate.Stack)
        stack.path, stack.name, stack._nested = Path("template.yaml"), "name", {}
        stack.template = {"Resources": {}, **template}
        stack.parameters = template.get("Given", {})
        return stack

    def test_known_text_is_filled_in_and_the_rest_is_joined(self) -> None:
        stack = self.stack(Given={"Host": "db"}, Resources={"Key": {"Type": "AWS::KMS::Key"}})
        self.assertEqual(stack.value({"Fn::Sub": "${Host}:${AWS::Region}"}), "db:us-east-1")
        self.assertEqual(
            stack.value({"Fn::Sub": "${Host}/${Key.Arn}/x"}),
            {"Fn::Join": ["", ["db/", {"Fn::GetAtt": ["Key", "Arn"]}, "/x"]]},
        )
        self.assertEqual(stack.value({"Fn::Sub": "${Key}"}), {"Ref": "Key"})

    def test_what_a_condition_leaves_out_is_gone(self) -> None:
        stack = self.stack(
            Given={"Stage": "dev"},
            Conditions={"Prod": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}},
            Resources={"Extra": {"Type": "AWS::SNS::Topic", "Condition": "Prod"}},
        )
        either = {"Fn::If": ["Prod", "yes", {"Ref": "AWS::NoValue"}]}
        self.assertEqual(stack.value({"a": either, "b": [either, "c"]}), {"b": ["c"]})
        self.assertEqual(stack.resources(), {})
        with self.assertRaises(evaluate.TemplateError):
            stack.value({"Ref": "Extra"})

    def test_a_list_survives_its_way_through_a_nested_stack(self) -> None:
        joined = {"Fn::Join": [",", [{"Ref": "A"}, {"Ref": "B"}]]}
        self.assertEqual(evaluate._as_list(joined), [{"Ref": "A"}, {"Ref": "B"}])
        self.assertEqual(evaluate._as_list("a,b"), ["a", "b"])

    def test_parameters_are_checked(self) -> None:
        for wrong in (
            {"Stage": "test"},
            {"RotationDays": 31},
            {"MasterUsername": "postgres"},
            {"NoSuchParameter": "x"},
        ):
            with self.subTest(wrong), self.assertRaises(evaluate.TemplateError):
                evaluate.evaluate(wrong)

    def test_the_templates_own_rules_refuse_what_is_not_whole(self) -> None:
        with self.assertRaisesRegex(evaluate.TemplateError, "needs ExistingFunctionSubnetIds"):
            evaluate.evaluate({"ExistingVpcId": "vpc-1"})
        with self.assertRaisesRegex(evaluate.TemplateError, "needs ExistingClusterIdentifier.* needs ExistingMasterSecretArn"):
            evaluate.evaluate({"ExistingClusterHost": "db"})
        with self.assertRaisesRegex(evaluate.TemplateError, "needs ExistingClusterHost"):
            evaluate.evaluate({"ExistingSecretArn": "arn:aws:secretsmanager:x"})


class Functions(unittest.TestCase):
    """The end-to-end tests run the functions with what the template gives them."""

    def test_the_tests_file_is_what_the_template_says(self) -> None:
        self.assertEqual(functions.main(["check"]), 0)

    def test_no_stage_tells_the_functions_anything_of_its_own(self) -> None:
        dev, prod = (functions.functions(evaluate.evaluate(evaluate.variants()[stage])["Resources"]) for stage in ("dev", "prod"))
        self.assertEqual(dev, prod)

    def test_where_a_database_is_is_left_to_the_test(self) -> None:
        for name, both in functions.document()["functions"].items():
            for function, settings in both.items():
                places = [settings["variables"][place] for place in ("DB_HOST", "DB_PORT", "DB_NAME", "TURNKEEP_SECRET")]
                with self.subTest(deployment=name, function=function):
                    self.assertTrue(all(place.startswith("<") for place in places), places)


class Accounts(unittest.TestCase):
    """What is kept is what the template retains."""

    def test_all_that_is_retained_is_named(self) -> None:
        retained = {
            resource["Type"]
            for variant in evaluate.variants().values()
            for resource in evaluate.evaluate(variant)["Resources"].values()
            if resource.get("DeletionPolicy") in ("Retain", "Snapshot")
        }
        self.assertEqual(set(account.DELETE), retained)

    def test_resources_of_stacks_in_the_stack_are_found(self) -> None:
        class Pages:
            def paginate(self, StackName: str) -> list[dict[str, Any]]:  # noqa: N803, AWS's name
                inner = {"ResourceType": "AWS::S3::Bucket", "LogicalResourceId": "Bucket", "PhysicalResourceId": "b"}
                outer = {"ResourceType": account.NESTED, "LogicalResourceId": "Data", "PhysicalResourceId": "inner"}
                return [{"StackResourceSummaries": [inner if StackName == "inner" else outer]}]

        class CloudFormation:
            def get_paginator(self, _: str) -> Pages:
                return Pages()

        (line,) = account.kept(CloudFormation(), "outer")
        self.assertIn("s3://b", line)


if __name__ == "__main__":
    unittest.main()
