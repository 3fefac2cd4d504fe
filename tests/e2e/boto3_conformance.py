"""Asks the local Secrets Manager, Lambda and S3 through boto3, as an operator's script would. Exits 1 on the first surprise."""

import json
import uuid

import boto3
from botocore.exceptions import ClientError

secrets = boto3.client("secretsmanager")
name = f"boto3-{uuid.uuid4()}"
first, second = str(uuid.uuid4()), str(uuid.uuid4())


def refused(code, call, **arguments):
    """Expects a call to fail with this error code."""
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{found} instead of {code}"
        assert error.response["Error"]["Message"], "an error says something"
    else:
        raise AssertionError(f"expected {code}")


created = secrets.create_secret(Name=name, SecretString='{"a": 1}', ClientRequestToken=first)
assert created["VersionId"] == first
assert created["ARN"].startswith("arn:aws:secretsmanager:us-east-1:000000000000:secret:" + name + "-")
refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="no-such-secret")
for secret_id in (name, created["ARN"], created["ARN"].rsplit("-", 1)[0]):
    value = secrets.get_secret_value(SecretId=secret_id)
    assert value["SecretString"] == '{"a": 1}' and value["VersionStages"] == ["AWSCURRENT"]
    assert value["CreatedDate"].year >= 2026

secrets.put_secret_value(SecretId=name, ClientRequestToken=second, SecretString="x", VersionStages=["AWSPENDING"])
refused(
    "ResourceExistsException",
    secrets.put_secret_value, SecretId=name, ClientRequestToken=second, SecretString="y", VersionStages=["AWSPENDING"],
)
refused("InvalidParameterException", secrets.update_secret_version_stage, SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=second)
secrets.update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first)
described = secrets.describe_secret(SecretId=name)
assert described["VersionIdsToStages"][first] == ["AWSPREVIOUS"], described["VersionIdsToStages"]
assert sorted(described["VersionIdsToStages"][second]) == ["AWSCURRENT", "AWSPENDING"]
assert len(secrets.get_random_password(PasswordLength=40)["RandomPassword"]) == 40
refused("InvalidRequestException", secrets.rotate_secret, SecretId=name)
refused("ResourceNotFoundException", boto3.client("lambda").invoke, FunctionName="no-such-function", Payload=b"{}")

s3 = boto3.client("s3")
bucket = f"boto3-{uuid.uuid4()}"
s3.create_bucket(Bucket=bucket)
s3.put_object(Bucket=bucket, Key="k", Body=json.dumps({}).encode(), IfNoneMatch="*")
refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="k", Body=b"other", IfNoneMatch="*")
assert boto3.client("sts").get_caller_identity()["Account"]
print("boto3 agrees")
