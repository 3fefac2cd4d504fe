"""What `make deploy` and `make destroy` ask of an AWS account.

    account.py s3-prefix-list       the id of S3's prefix list in this region
    account.py kept STACK           what outlives the stack, each with the command that deletes it
    account.py unprotect STACK      switches the deletion protection of the stack's cluster off
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import boto3

# Only for a person, after the stack is gone: none of these asks again.
DELETE = {
    "AWS::Backup::BackupVault": "aws backup delete-backup-vault --backup-vault-name {id}   # once it is empty",
    "AWS::KMS::Key": "aws kms schedule-key-deletion --pending-window-in-days 30 --key-id {id}   # last of all: what it encrypts is lost with it",
    "AWS::Logs::LogGroup": "aws logs delete-log-group --log-group-name {id}",
    "AWS::RDS::DBCluster": "aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier SNAPSHOT   # of {id}",
    "AWS::S3::Bucket": "aws s3 rm --recursive s3://{id}   # and its versions, then: aws s3 rb s3://{id}",
    "AWS::SQS::Queue": "aws sqs delete-queue --queue-url {id}",
    "AWS::SecretsManager::Secret": "aws secretsmanager delete-secret --secret-id {id}",
}
NESTED = "AWS::CloudFormation::Stack"


def s3_prefix_list(ec2: Any) -> str:
    """The id of the prefix list that stands for S3 in the client's region."""
    name = f"com.amazonaws.{ec2.meta.region_name}.s3"
    found = ec2.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [name]}])
    return str(found["PrefixLists"][0]["PrefixListId"])


def resources(cloudformation: Any, stack: str) -> Iterator[dict[str, Any]]:
    """The resources of a stack and of those in it."""
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
        for resource in page["StackResourceSummaries"]:
            if resource["ResourceType"] == NESTED and resource.get("PhysicalResourceId"):
                yield from resources(cloudformation, resource["PhysicalResourceId"])
            else:
                yield resource


def kept(cloudformation: Any, stack: str) -> list[str]:
    """What the template retains, each with the command that deletes it."""
    return [
        f"{resource['LogicalResourceId']:22} {DELETE[resource['ResourceType']].format(id=resource['PhysicalResourceId'])}"
        for resource in resources(cloudformation, stack)
        if resource["ResourceType"] in DELETE and resource.get("PhysicalResourceId")
    ]


def unprotect(cloudformation: Any, rds: Any, stack: str) -> None:
    """Lets the stack's cluster be deleted; its last snapshot is the template's business."""
    for resource in resources(cloudformation, stack):
        if resource["ResourceType"] == "AWS::RDS::DBCluster":
            rds.modify_db_cluster(
                DBClusterIdentifier=resource["PhysicalResourceId"], DeletionProtection=False, ApplyImmediately=True
            )


def main(arguments: list[str]) -> None:
    """Does one of them."""
    match arguments:
        case ["s3-prefix-list"]:
            print(s3_prefix_list(boto3.client("ec2")))
        case ["kept", stack]:
            print("\n".join(kept(boto3.client("cloudformation"), stack)))
        case ["unprotect", stack]:
            unprotect(boto3.client("cloudformation"), boto3.client("rds"), stack)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
