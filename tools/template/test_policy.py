"""Tests of what decides about calls, by tables of IAM's own semantics, and of what reads calls out of the sources."""

from __future__ import annotations

import unittest
from pathlib import Path
from typing import Any

import access
import registry
import sources
from evaluate import TemplateError, evaluate, variants
from graph import statements
from policy import Call, Policies, by_role, matches, text, verdict
from rules.access import UNUSED, calls_are_allowed


def document(**statement: Any) -> list[Any]:
    """The statements of a policy of one statement."""
    one = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": "*", **statement}
    return list(statements({"Statement": one}, "owner"))


CALL = Call("<Role.Arn>", "s3:GetObject", "<Bucket.Arn>/a/b", {"aws:PrincipalAccount": "000000000000", "key": "value"})


class Verdicts(unittest.TestCase):
    """A statement speaks of a call, or does not."""

    def check(self, expected: str, call: Call = CALL, **statement: Any) -> None:
        with self.subTest(statement=statement):
            self.assertEqual(verdict(document(**statement), call), expected)

    def test_actions(self) -> None:
        for action in ("s3:GetObject", "s3:Get*", "S3:getobject", "*", ["s3:PutObject", "s3:GetO?ject"]):
            self.check("allow", Action=action)
        for action in ("s3:PutObject", "s3:GetObjec", "sqs:*", "s3:GetObjectX"):
            self.check("silence", Action=action)

    def test_resources(self) -> None:
        bucket = {"Fn::GetAtt": ["Bucket", "Arn"]}
        self.check("allow", Resource={"Fn::Join": ["", [bucket, "/*"]]})
        self.check("allow", Resource=["elsewhere", {"Fn::Join": ["", [bucket, "/a/?"]]}])
        self.check("silence", Resource=bucket)
        self.check("silence", Resource={"Fn::Join": ["", [bucket, "/a"]]})

    def test_principals(self) -> None:
        self.check("allow", Principal={"AWS": "arn:aws:iam::000000000000:root"})
        self.check("silence", Principal={"AWS": "arn:aws:iam::999999999999:root"})
        self.check("allow", Principal={"AWS": ["x", {"Fn::GetAtt": ["Role", "Arn"]}]})
        self.check("silence", Principal={"Service": "lambda.amazonaws.com"})
        service = CALL.but(principal="lambda.amazonaws.com", context={"aws:PrincipalAccount": None})
        self.check("allow", service, Principal={"Service": ["sqs.amazonaws.com", "lambda.amazonaws.com"]})
        self.check("silence", service, Principal={"AWS": "arn:aws:iam::000000000000:root"})

    def test_a_denial_is_stronger(self) -> None:
        both = document() + document(Effect="Deny")
        self.assertEqual(verdict(both, CALL), "deny")
        self.assertEqual(verdict([], CALL), "silence")

    def test_conditions(self) -> None:
        for holds, condition in (
            (True, {"StringEquals": {"key": "value"}}),
            (True, {"StringEquals": {"key": ["other", "value"]}}),
            (False, {"StringEquals": {"key": "Value"}}),
            (False, {"StringEquals": {"key": "value", "aws:PrincipalAccount": "1"}}),
            (False, {"StringEquals": {"absent": "value"}}),
            (True, {"StringEqualsIfExists": {"absent": "value"}}),
            (False, {"StringNotEquals": {"key": "value"}}),
            # What surprises everybody: "not equal" is true of what is not there.
            (True, {"StringNotEquals": {"absent": "value"}}),
            (False, {"StringNotEquals": {"key": ["other", "value"]}}),
            (True, {"StringLike": {"key": "v*"}}),
            (True, {"ArnLike": {"key": "v?lue"}}),
            (False, {"ArnNotEquals": {"key": "value"}}),
            (True, {"Null": {"absent": "true"}}),
            (False, {"Null": {"key": "true"}}),
            (True, {"Null": {"key": "false"}}),
        ):
            self.check("allow" if holds else "silence", Condition=condition)
        self.check("allow", CALL.but(context={"s3:TlsVersion": "1.1"}), Condition={"NumericLessThan": {"s3:TlsVersion": "1.2"}})
        self.check("silence", CALL.but(context={"s3:TlsVersion": "1.2"}), Condition={"NumericLessThan": {"s3:TlsVersion": "1.2"}})
        self.check("allow", CALL.but(context={"tls": "false"}), Condition={"Bool": {"tls": False}})

    def test_an_operator_that_is_not_known_is_no_guess(self) -> None:
        with self.assertRaises(TemplateError):
            verdict(document(Condition={"IpAddress": {"key": "value"}}), CALL)

    def test_patterns_take_brackets_for_themselves(self) -> None:
        self.assertTrue(matches("a[b]*", "a[b]c"))
        self.assertFalse(matches("a[b]", "ab"))

    def test_values_as_text(self) -> None:
        self.assertEqual(text({"Fn::Join": ["/", [{"Ref": "A"}, True, 3]]}), "<A>/true/3")
        with self.assertRaises(TemplateError):
            text({"Fn::Select": [0, []]})


class Ways(unittest.TestCase):
    """A call passes every policy on its way, each of which can stop it."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.resources = evaluate(variants()["prod"])["Resources"]
        cls.call = next(
            call for call, _ in access.code_calls(cls.resources, "CaptureFunction", "secretsmanager:GetSecretValue")
            if call.action == "secretsmanager:GetSecretValue"
        )  # fmt: skip

    def allowed(self, call: Call, **changed: Any) -> bool:
        return Policies({**self.resources, **changed}).allow(call, True)

    def without(self, name: str, *path: str | int) -> dict[str, Any]:
        def but(value: Any, path: tuple[str | int, ...]) -> Any:
            if not path:
                return []
            copy = list(value) if isinstance(value, list) else dict(value)
            copy[path[0]] = but(value[path[0]], path[1:])
            return copy

        return {name: but(self.resources[name], ("Properties", *path))}

    def test_each_policy_can_stop_it(self) -> None:
        self.assertTrue(self.allowed(self.call))
        self.assertFalse(self.allowed(self.call, **self.without("CapturePolicy", "PolicyDocument", "Statement")))
        self.assertFalse(self.allowed(self.call, **self.without("SecretsManagerEndpoint", "PolicyDocument", "Statement")))
        denied = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
        policy = {"Properties": {**self.resources["SecretPolicy"]["Properties"], "ResourcePolicy": {"Statement": denied}}}
        self.assertFalse(self.allowed(self.call, SecretPolicy={**self.resources["SecretPolicy"], **policy}))

    def test_a_key_hands_the_decision_to_iam_or_nobody_uses_it(self) -> None:
        decrypt = next(
            call for call, _ in access.code_calls(self.resources, "CaptureFunction", "secretsmanager:GetSecretValue")
            if call.action == "kms:Decrypt"
        )  # fmt: skip
        self.assertTrue(self.allowed(decrypt))
        self.assertFalse(self.allowed(decrypt, **self.without("SecretsKey", "KeyPolicy", "Statement")))
        self.assertFalse(self.allowed(decrypt.but(context={"kms:ViaService": "s3.us-east-1.amazonaws.com"})))

    def test_a_recorded_call_can_be_asked_like_one_that_was_read(self) -> None:
        found = [call for call, _ in access.code_calls(self.resources, "CaptureFunction", "s3:HeadObject")]
        self.assertEqual({call.action for call in found}, {"s3:GetObject", "kms:Decrypt"})
        self.assertTrue(all(self.allowed(call) for call in found if call.action == "s3:GetObject"))
        deleted = by_role("CaptureRole", "s3:DeleteObject", found[0].resource)
        self.assertFalse(self.allowed(deleted))

    def test_a_database_without_a_host_would_need_more(self) -> None:
        function = self.resources["RotationFunction"]
        own = {**function["Properties"]["Environment"]["Variables"], "DB_HOST": ""}
        changed = {**function, "Properties": {**function["Properties"], "Environment": {"Variables": own}}}
        found = list(calls_are_allowed({**self.resources, "RotationFunction": changed}))
        self.assertTrue(any("rds:DescribeDBClusters" in problem for problem in found), found)

    def test_every_exception_is_one(self) -> None:
        allowed = {
            (statement.sid, action)
            for variant in ("dev", "prod", "shared")
            for group in (Policies(evaluate(variants()[variant])["Resources"]),)
            for own in [*group.identity.values(), *group.on.values()]
            for statement in own
            for action in statement.actions
        }
        self.assertEqual(set(UNUSED) - allowed, set())
        asked = {
            permission
            for kind in access.kinds_of_any_variant()
            for permission in registry.schema(kind).get("handlers", {}).get("read", {}).get("permissions", [])
        }
        self.assertEqual(set(registry.WITHHELD) - asked, set())


class Sources(unittest.TestCase):
    """What the functions call and emit is read as it is written, and a text that is not understood is an error."""

    def test_operations_of_a_method_and_of_those_it_calls(self) -> None:
        own = sources._operations("secretsmanager", sources._files("secrets/src/client.rs"))
        self.assertEqual(own["find"], {"secretsmanager:GetSecretValue"})
        self.assertEqual(own["remove_stage"], {"secretsmanager:UpdateSecretVersionStage"})
        self.assertEqual(sources._camel("describe_db_clusters"), "DescribeDBClusters")

    def test_each_function_calls_what_it_should(self) -> None:
        calls = sources.calls()
        self.assertEqual(
            calls["conversation-capture"],
            {"secretsmanager:GetSecretValue", "s3:GetObject", "s3:HeadObject", "s3:PutObject"},
        )
        self.assertIn("secretsmanager:PutSecretValue", calls["secret-rotation"])
        self.assertFalse(any(operation.startswith("s3:") for operation in calls["secret-rotation"]))

    def test_metrics_have_units(self) -> None:
        metrics = sources.metrics()
        self.assertEqual(metrics["secret-rotation"]["SecretAgeDays"], "None")
        self.assertEqual(metrics["conversation-capture"]["Stored"], "Count")

    def test_a_metric_or_a_request_that_cannot_be_read_is_an_error(self) -> None:
        for text_of, reader in (
            ('Metrics::new(x, "conversation-capture"); metrics.count(NAME, 1)', sources.metrics),
            ('Metrics::new(x, "conversation-capture"); metrics.gauge("Name", 1)', sources.metrics),
            ("fn a(&self) { let request = other.get_object(); request.send() }", sources.calls),
        ):
            with self.subTest(text_of), self.assertRaises(TemplateError):
                self._read(text_of, reader)

    def _read(self, source: str, reader: Any) -> None:
        known, sources._code = sources._code, lambda _: source  # type: ignore[assignment]
        try:
            reader.__wrapped__()
        finally:
            sources._code = known

    def test_prefixes_are_those_of_the_layout(self) -> None:
        self.assertIn("conversations/", sources.prefixes())
        self.assertIn("quarantine/", sources.prefixes())

    def test_schemas_know_what_is_required(self) -> None:
        self.assertTrue(registry.is_required("AWS::S3::BucketPolicy", ["Bucket"]))
        self.assertFalse(registry.is_required("AWS::S3::Bucket", ["VersioningConfiguration"]))
        self.assertTrue(registry.is_required("AWS::S3::Bucket", ["VersioningConfiguration", "Status"]))
        self.assertTrue(Path(registry.SCHEMAS).is_dir())


if __name__ == "__main__":
    unittest.main()
