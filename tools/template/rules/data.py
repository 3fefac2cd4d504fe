"""Rules about what is kept and who reaches it."""

from __future__ import annotations

from collections.abc import Iterator

from graph import Resources, as_list, key, of_type, statements

RETAINED = {
    "AWS::Backup::BackupVault": "Retain",
    "AWS::KMS::Key": "Retain",
    "AWS::Logs::LogGroup": "Retain",
    "AWS::RDS::DBCluster": "Snapshot",
    # It has no data, and costs by the hour.
    "AWS::RDS::DBInstance": "Delete",
    "AWS::S3::Bucket": "Retain",
    "AWS::SQS::Queue": "Retain",
    "AWS::SecretsManager::Secret": "Retain",
}
YEAR = 365


def data_is_retained(resources: Resources) -> Iterator[str]:
    """What holds data outlives its stack, and what only computes does not."""
    for name, resource in resources.items():
        wanted = RETAINED.get(resource["Type"])
        for policy in ("DeletionPolicy", "UpdateReplacePolicy") if wanted else ():
            if resource.get(policy) != wanted:
                yield f"{name}: {policy} is not {wanted}"


def logs_are_kept_for_a_year(resources: Resources) -> Iterator[str]:
    """Every log group has our key and keeps a year."""
    for name, group in of_type(resources, "AWS::Logs::LogGroup"):
        if "KmsKeyId" not in group or int(group.get("RetentionInDays", 0)) < YEAR:
            yield f"{name} has no key, or keeps less than a year"
    exported = {f"/aws/rds/cluster/{cluster['DBClusterIdentifier']}/{log}"
                for _, cluster in of_type(resources, "AWS::RDS::DBCluster")
                for log in cluster.get("EnableCloudwatchLogsExports", [])}  # fmt: skip
    ours = {group.get("LogGroupName") for _, group in of_type(resources, "AWS::Logs::LogGroup")}
    for missing in sorted(exported - ours):
        yield f"RDS would make {missing}, without key or end"


def everything_is_under_our_key(resources: Resources) -> Iterator[str]:
    """Queues, topics, buses and buckets use a customer managed key that is rotated each year."""
    settings = {
        "AWS::SQS::Queue": "KmsMasterKeyId",
        "AWS::SNS::Topic": "KmsMasterKeyId",
        "AWS::Events::EventBus": "KmsKeyIdentifier",
        "AWS::CloudTrail::Trail": "KMSKeyId",
        "AWS::Backup::BackupVault": "EncryptionKeyArn",
    }
    for kind, setting in settings.items():
        for name, properties in of_type(resources, kind):
            if not isinstance(properties.get(setting), dict):
                yield f"{name} is not under our key"
    for name, bucket in of_type(resources, "AWS::S3::Bucket"):
        if "aws:kms" not in key(bucket.get("BucketEncryption")) and name != "AccessLogBucket":
            yield f"{name} is not under our key"
    for name, one in of_type(resources, "AWS::KMS::Key"):
        if one.get("EnableKeyRotation") is not True or one.get("RotationPeriodInDays", 365) > YEAR:
            yield f"{name} is not rotated each year"


def plaintext_is_denied(resources: Resources) -> Iterator[str]:
    """Each bucket, queue and topic refuses a call without TLS."""
    covered: set[str] = set()
    for _, policy in of_type(resources, "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        targets = as_list(policy.get("Bucket") or policy.get("Queues") or policy.get("Topics"))
        for statement in statements(policy["PolicyDocument"], ""):
            denies = statement.effect == "Deny" and statement.principals == "*"
            if denies and statement.condition == {"Bool": {"aws:SecureTransport": "false"}}:
                covered |= {target["Ref"] for target in targets}
    for name, _ in of_type(resources, "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic"):
        if name not in covered:
            yield f"{name} takes calls without TLS"


def plain_puts_are_taken(resources: Resources) -> Iterator[str]:
    """Nothing denies a put because of a header that it does not send: "not equal" is true of what is not there."""
    for name, policy in of_type(resources, "AWS::S3::BucketPolicy"):
        for statement in statements(policy["PolicyDocument"], name):
            if statement.effect != "Deny":
                continue
            present = {one for one, absent in statement.condition.get("Null", {}).items() if absent == "false"}
            for operator, keys in statement.condition.items():
                headers = {one for one in keys if one.startswith("s3:x-amz-")}
                if "Not" in operator and not headers <= present:
                    yield f"{name}, {statement.sid}: a put without {', '.join(sorted(headers - present))} is denied"


def the_network_is_closed(resources: Resources) -> Iterator[str]:
    """No way to the internet, one interface endpoint at most, and no security group that is open to addresses."""
    for name, _ in of_type(resources, "AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route", "AWS::EC2::EIP"):
        yield f"{name} leads out"
    endpoints = [name for name, one in of_type(resources, "AWS::EC2::VPCEndpoint") if one["VpcEndpointType"] == "Interface"]
    if len(endpoints) > 1:
        yield f"each interface endpoint costs, and one is enough: {endpoints}"
    for name, one in of_type(resources, "AWS::EC2::VPCEndpoint"):
        if "PolicyDocument" not in one:
            yield f"{name} lets everything through"
    rules = [
        (name, rule)
        for name, group in of_type(resources, "AWS::EC2::SecurityGroup")
        for rule in [*group.get("SecurityGroupIngress", []), *group.get("SecurityGroupEgress", [])]
    ]
    rules += of_type(resources, "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
    for name, rule in rules:
        if rule.get("CidrIp", "127.0.0.1/32") != "127.0.0.1/32" or "CidrIpv6" in rule:
            yield f"{name} is open to addresses"
    for name, group in of_type(resources, "AWS::EC2::SecurityGroup"):
        if not group.get("SecurityGroupEgress"):
            yield f"{name} may send anything anywhere"


RULES = (
    data_is_retained,
    logs_are_kept_for_a_year,
    everything_is_under_our_key,
    plaintext_is_denied,
    plain_puts_are_taken,
    the_network_is_closed,
)
