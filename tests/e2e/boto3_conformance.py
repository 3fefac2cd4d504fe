"""Asks the local AWS API through boto3, as an operator's script would: the cases that AWS documents for Secrets Manager,
and what we use of the other services. Exits 1 on the first surprise."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.exceptions import ClientError

ROTATION = "arn:aws:lambda:us-east-1:000000000000:function:secret-rotation"
secrets = boto3.client("secretsmanager")


def refused(code, call, **arguments):
    """Expects a call to fail with this error code."""
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{found} instead of {code}"
        assert error.response["Error"].get("Message") or code.isdigit(), "an error says something"
    else:
        raise AssertionError(f"expected {code}")


class Secret:
    """A new secret, whose first version is current and holds "one"."""

    def __init__(self):
        self.name = f"boto3-{uuid.uuid4()}"
        self.first = str(uuid.uuid4())
        created = secrets.create_secret(Name=self.name, SecretString="one", ClientRequestToken=self.first)
        assert created["VersionId"] == self.first, "the token is the version's id"
        self.arn = created["ARN"]

    def put(self, token, text, *stages):
        stages = {"VersionStages": list(stages)} if stages else {}
        return secrets.put_secret_value(SecretId=self.name, ClientRequestToken=token, SecretString=text, **stages)

    def text(self, **which):
        return secrets.get_secret_value(SecretId=self.name, **which)["SecretString"]

    def move(self, stage, **versions):
        secrets.update_secret_version_stage(SecretId=self.name, VersionStage=stage, **versions)

    def rotate(self, token, **arguments):
        return secrets.rotate_secret(SecretId=self.name, ClientRequestToken=token, **arguments)

    def labels(self):
        """Labels by version, as DescribeSecret shows them."""
        shown = secrets.describe_secret(SecretId=self.name)["VersionIdsToStages"]
        return {version: sorted(labels) for version, labels in shown.items()}


def token():
    return str(uuid.uuid4())


def a_secret_is_found_by_name_arn_and_partial_arn():
    secret = Secret()
    assert secret.arn.startswith(f"arn:aws:secretsmanager:us-east-1:000000000000:secret:{secret.name}-")
    for secret_id in (secret.name, secret.arn, secret.arn.rsplit("-", 1)[0]):
        value = secrets.get_secret_value(SecretId=secret_id)
        assert value["SecretString"] == "one" and value["VersionStages"] == ["AWSCURRENT"]
        assert value["CreatedDate"].year >= 2026
    refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="no-such-secret")


def a_token_is_used_once():
    secret, second = Secret(), token()
    again = {"Name": secret.name, "ClientRequestToken": secret.first}
    assert secrets.create_secret(SecretString="one", **again)["VersionId"] == secret.first
    refused("ResourceExistsException", secrets.create_secret, SecretString="other", **again)
    secret.put(second, "two")
    before = secret.labels()
    for stages in ((), ("AWSPENDING",), ("AWSCURRENT",)):
        secret.put(second, "two", *stages)
        refused("ResourceExistsException", lambda: secret.put(second, "other", *stages))
    assert secret.labels() == before == {secret.first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    pending = token()
    secret.put(pending, "three", "AWSPENDING")
    refused("ResourceExistsException", lambda: secret.put(pending, "other", "AWSPENDING"))
    assert secret.text(VersionStage="AWSPENDING") == "three"


def of_concurrent_puts_one_wins():
    secret = Secret()

    def won(version, text):
        try:
            secret.put(version, text, "AWSPENDING")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceExistsException", error
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            version = token()
            winners = threads.map(lambda text: won(version, text), map(str, range(8)))
            assert sum(winners) == 1


def a_label_sits_on_one_version():
    secret, second, third = Secret(), token(), token()
    secret.put(second, "two", "AWSPENDING")
    secret.put(third, "three", "AWSPENDING")
    assert secret.labels() == {secret.first: ["AWSCURRENT"], third: ["AWSPENDING"]}, "a version without a label is not shown"
    assert secret.text(VersionId=second) == "two", "but it can be read"
    listed = secrets.list_secret_version_ids(SecretId=secret.name)["Versions"]
    every = secrets.list_secret_version_ids(SecretId=secret.name, IncludeDeprecated=True)["Versions"]
    assert (len(listed), len(every)) == (2, 3)
    assert secret.text(VersionId=third, VersionStage="AWSPENDING") == "three"
    mismatch = {"SecretId": secret.name, "VersionId": third, "VersionStage": "AWSCURRENT"}
    refused("InvalidRequestException", secrets.get_secret_value, **mismatch)
    refused("ResourceNotFoundException", secrets.get_secret_value, SecretId=secret.name, VersionId=token())


def awsprevious_follows_awscurrent():
    secret, second = Secret(), token()
    secret.put(second, "two", "AWSPENDING")
    before = secret.labels()
    for code, versions in (
        ("InvalidParameterException", {"MoveToVersionId": second}),
        ("InvalidParameterException", {"MoveToVersionId": second, "RemoveFromVersionId": second}),
        ("InvalidParameterException", {"RemoveFromVersionId": secret.first}),
        ("ResourceNotFoundException", {"MoveToVersionId": token(), "RemoveFromVersionId": secret.first}),
    ):
        refused(code, lambda: secret.move("AWSCURRENT", **versions))
        assert secret.labels() == before, "a refused move changes nothing"
    secret.move("AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=secret.first)
    assert secret.labels() == {secret.first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "AWSPENDING"]}
    third = token()
    secret.put(third, "three")
    assert secret.labels() == {second: ["AWSPENDING", "AWSPREVIOUS"], third: ["AWSCURRENT"]}


def a_rotation_reserves_an_empty_version():
    secret, pending = Secret(), token()
    refused("InvalidRequestException", secrets.rotate_secret, SecretId=secret.name)
    refused("ResourceNotFoundException", lambda: secret.rotate(token(), RotationLambdaARN=f"{ROTATION}-2"))
    assert "RotationEnabled" not in secrets.describe_secret(SecretId=secret.name), "a refused rotation configures nothing"
    days = {"RotationRules": {"AutomaticallyAfterDays": 30}}
    assert secret.rotate(pending, RotationLambdaARN=ROTATION, **days)["VersionId"] == pending
    assert secret.labels() == {secret.first: ["AWSCURRENT"], pending: ["AWSPENDING"]}
    for which in ({"VersionStage": "AWSPENDING"}, {"VersionId": pending, "VersionStage": "AWSPENDING"}):
        refused("ResourceNotFoundException", lambda: secret.text(**which))
    assert secret.text() == "one", "a plain read gets AWSCURRENT"
    refused("InvalidRequestException", lambda: secret.rotate(token(), RotationLambdaARN=ROTATION))
    refused("InvalidRequestException", lambda: secret.rotate(token()))
    described = secrets.describe_secret(SecretId=secret.name)
    assert described["RotationEnabled"] and described["RotationLambdaARN"] == ROTATION
    assert described["RotationRules"] == days["RotationRules"] and "NextRotationDate" in described
    secret.put(pending, "two", "AWSPENDING")
    assert (secret.text(VersionStage="AWSPENDING"), secret.text()) == ("two", "one")
    assert secrets.cancel_rotate_secret(SecretId=secret.name)["VersionId"] == pending
    assert secret.labels() == {secret.first: ["AWSCURRENT"], pending: ["AWSPENDING"]}


def awspending_on_the_current_version_is_no_rotation_in_progress():
    secret, second = Secret(), token()
    secret.move("AWSPENDING", MoveToVersionId=secret.first)
    secret.rotate(second, RotationLambdaARN=ROTATION)
    assert secret.labels() == {secret.first: ["AWSCURRENT"], second: ["AWSPENDING"]}


def rules_of_a_rotation_are_checked():
    secret = Secret()
    for rules in (
        {"AutomaticallyAfterDays": 30, "ScheduleExpression": "rate(30 days)"},
        {"ScheduleExpression": "rate(3 hours)"},
        {"ScheduleExpression": "daily"},
    ):
        refused("InvalidParameterException", lambda: secret.rotate(token(), RotationLambdaARN=ROTATION, RotationRules=rules))


def a_deleted_secret_answers_nothing_until_it_is_restored():
    secret = Secret()
    secrets.delete_secret(SecretId=secret.name)
    refused("InvalidRequestException", secret.text)
    refused("InvalidRequestException", lambda: secret.put(token(), "two"))
    refused("InvalidRequestException", lambda: secret.rotate(token(), RotationLambdaARN=ROTATION))
    secrets.restore_secret(SecretId=secret.name)
    assert secret.text() == "one"


def passwords_obey_their_rules():
    assert len(secrets.get_random_password(PasswordLength=40)["RandomPassword"]) == 40
    refused("InvalidParameterException", secrets.get_random_password, PasswordLength=3)


def the_other_services_are_there():
    refused("ResourceNotFoundException", boto3.client("lambda").invoke, FunctionName="no-such-function", Payload=b"{}")
    assert boto3.client("sts").get_caller_identity()["Account"]
    s3, bucket = boto3.client("s3"), f"boto3-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket)
    put = s3.put_object(Bucket=bucket, Key="k", Body=json.dumps({}).encode(), IfNoneMatch="*")
    refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="k", Body=b"other", IfNoneMatch="*")
    refused("304", s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=put["ETag"])
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="nothing")
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "one"
    refused("DBClusterNotFoundFault", boto3.client("rds").describe_db_clusters, DBClusterIdentifier="no-such-cluster")


a_secret_is_found_by_name_arn_and_partial_arn()
a_token_is_used_once()
of_concurrent_puts_one_wins()
a_label_sits_on_one_version()
awsprevious_follows_awscurrent()
a_rotation_reserves_an_empty_version()
awspending_on_the_current_version_is_no_rotation_in_progress()
rules_of_a_rotation_are_checked()
a_deleted_secret_answers_nothing_until_it_is_restored()
passwords_obey_their_rules()
the_other_services_are_there()
print("boto3 agrees")
