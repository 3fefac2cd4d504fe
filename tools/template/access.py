"""The calls that the stack's parts make, derived from its graph and the functions' sources, and those that must be refused.

Whoever adds a resource that calls another says here which calls these are; the policies are then held to them in both
directions, by rules/access.py. What the functions call in an end-to-end run is `sources.calls()` seen from outside: calls.py,
and test_calls.py holds it against the same policies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import sources
from documents import Value, load
from evaluate import PSEUDO, ROOT
from graph import Resources, as_list, of_type, variables
from policy import ACCOUNT, Call, by_role, by_service, named, text
from registry import read_permissions

REGION = str(PSEUDO["AWS::Region"])
ELSEWHERE = "elsewhere"
# Some account that is not ours.
OTHER_ACCOUNT = "999999999999"

# IAM's names of operations that have others in the API.
ACTIONS = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket"}
# What reads or writes a value needs its key.
KEY_USES = {
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "secretsmanager:PutSecretValue": ("kms:Decrypt", "kms:GenerateDataKey"),
    "s3:GetObject": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
}
# AWS Lambda's guide, "Giving Lambda functions access to resources in an Amazon VPC": its own two managed policies.
INTERFACES = {
    "ec2:CreateNetworkInterface": ("network-interface", "subnet", "security-group"),
    "ec2:DeleteNetworkInterface": ("network-interface",),
    "ec2:AssignPrivateIpAddresses": ("network-interface",),
    "ec2:UnassignPrivateIpAddresses": ("network-interface",),
    "ec2:DescribeNetworkInterfaces": (),
    "ec2:DescribeSubnets": (),
}
# As SAM's SQSPollerPolicy.
POLLS = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
# RDS's guide, "Setting up Enhanced Monitoring", its managed policy for one group.
ENHANCED_MONITORING = ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "GetLogEvents", "PutLogEvents", "PutRetentionPolicy")


def function_calls(resources: Resources) -> Iterator[tuple[Call, bool]]:
    """What the functions' code calls, and with it KMS; the second of a pair tells that it goes through the endpoints."""
    operations = sources.calls()
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        service = next((one for one in operations if text(function["FunctionName"]).endswith(one)), "")
        for operation in sorted(operations.get(service, ())):
            yield from code_calls(resources, name, operation)


def code_calls(resources: Resources, name: str, operation: str) -> Iterator[tuple[Call, bool]]:
    """One operation of a function's code, on each resource that its environment names."""
    function = resources[name]["Properties"]
    role = named(text(function["Role"]))
    own = variables(function)
    action = ACTIONS.get(operation, operation)
    if action.startswith("rds:"):
        # Only to find the database, which `DB_HOST` does.
        if not own.get("DB_HOST"):
            yield by_role(role, action, "*"), True
    elif action.startswith("s3:"):
        bucket = text(own["CONVERSATIONS_BUCKET"])
        arn = f"<{named(bucket)}.Arn>"
        for prefix in sources.prefixes():
            yield by_role(role, action, f"{arn}/{prefix}v1/x"), True
        yield from _with_key(role, action, _bucket_key(resources, bucket), via=f"s3.{REGION}.amazonaws.com", bucket=arn)
        for claimed in claim_check_buckets(own) if operation == "s3:GetObject" else ():
            for read in ("s3:GetObject", "s3:GetObjectVersion"):
                yield by_role(role, read, f"arn:aws:s3:::{claimed}/x"), True
    elif action == "secretsmanager:GetRandomPassword":
        yield by_role(role, action, "*"), True
    else:
        secret, master = text(own["TURNKEEP_SECRET"]), text(own.get("BOOTSTRAP_SECRET", ""))
        reads = action in ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")
        # Capture's code reads the key of redaction by the same method as the login.
        others = [one for one in (master, text(own.get("IDENTITY_KEY_SECRET", ""))) if one and reads]
        for one in [secret, *others]:
            rotated_by = {"rotated_by": function_arn(function)} if one == secret and rotates(own) else {}
            yield by_role(role, action, one, **rotated_by), True
            yield from _with_key(role, action, _secret_key(resources, one), via=f"secretsmanager.{REGION}.amazonaws.com", secret=one)


def lambda_calls(resources: Resources) -> Iterator[Call]:
    """What the Lambda service does with a function's role: interfaces, logs, messages taken and put aside."""
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        role = named(text(function["Role"]))
        if "VpcConfig" in function:
            for action, kinds in INTERFACES.items():
                for resource in [f"arn:aws:ec2:{REGION}:{ACCOUNT}:{kind}/x" for kind in kinds] or ["*"]:
                    yield by_role(role, action, resource)
        group = named(text(function.get("LoggingConfig", {}).get("LogGroup", "")))
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            yield by_role(role, action, f"<{group}.Arn>")
        if "DeadLetterConfig" in function:
            yield from _sends(resources, role, text(function["DeadLetterConfig"]["TargetArn"]))
        for _, mapping in of_type(resources, "AWS::Lambda::EventSourceMapping"):
            if named(text(mapping["FunctionName"])) == name:
                queue = text(mapping["EventSourceArn"])
                for action in POLLS:
                    yield by_role(role, action, queue)
                yield from _with_queue_key(resources, role, queue, ("kms:Decrypt",))


def schedule_calls(resources: Resources) -> Iterator[Call]:
    """What EventBridge Scheduler does with the schedules' roles."""
    detectors: set[str] = set()
    for _, schedule in of_type(resources, "AWS::Scheduler::Schedule"):
        target = schedule["Target"]
        role, arn = named(text(target["RoleArn"])), text(target["Arn"])
        given = json.loads(text(target.get("Input", "{}")))
        if ":aws-sdk:" in arn:
            service, operation = arn.split(":aws-sdk:")[1].split(":")
            action = f"{service}:{operation[0].upper()}{operation[1:]}"
            if service == "ec2":
                yield by_role(role, action, f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/{given['GroupId']}")
            else:
                # CloudFormation's guide, "Detect unmanaged configuration changes": what whoever asks for a detection needs.
                yield by_role(role, action, given["StackName"])
                yield by_role(role, "cloudformation:DetectStackResourceDrift", given["StackName"])
                yield by_role(role, "cloudformation:BatchDescribeTypeConfigurations", "*")
                detectors.add(role)
        else:
            yield by_role(role, "lambda:InvokeFunction", function_arn(resources[named(arn)]["Properties"]))
        if "DeadLetterConfig" in target:
            yield from _sends(resources, role, text(target["DeadLetterConfig"]["Arn"]))
    for role in sorted(detectors):
        yield from reads_of_configuration(role, frozenset(resource["Type"] for resource in resources.values()))


@cache
def reads_of_configuration(role: str, kinds: frozenset[str]) -> tuple[Call, ...]:
    """What a detection of drift reads of resources of some types."""
    permissions = {permission for kind in kinds for permission in read_permissions(kind)}
    return tuple(by_role(role, permission, "*") for permission in sorted(permissions))


@cache
def kinds_of_any_variant() -> frozenset[str]:
    """The types that the layers' files declare, for policies that are the same for all variants."""
    made_by_sam = {"AWS::Serverless::Function": ("AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping")}
    declared = [resource["Type"] for path in sorted((ROOT / "stack").glob("*.yaml")) for resource in load(path)["Resources"].values()]
    return frozenset(kind for one in declared for kind in made_by_sam.get(one, (one,)))


def log_calls(resources: Resources) -> Iterator[Call]:
    """What other services do with roles of the stack: they write logs."""
    for _, log in of_type(resources, "AWS::EC2::FlowLog"):
        group = f"<{named(text(log['LogGroupName']))}.Arn>"
        for action in ("CreateLogStream", "DescribeLogStreams", "PutLogEvents"):
            yield by_role(named(text(log["DeliverLogsPermissionArn"])), f"logs:{action}", group)
    for _, trail in of_type(resources, "AWS::CloudTrail::Trail"):
        for action in ("CreateLogStream", "PutLogEvents"):
            yield by_role(named(text(trail["CloudWatchLogsRoleArn"])), f"logs:{action}", text(trail["CloudWatchLogsLogGroupArn"]))
    for _, instance in of_type(resources, "AWS::RDS::DBInstance"):
        if "MonitoringRoleArn" in instance:
            for action in ENHANCED_MONITORING:
                role = named(text(instance["MonitoringRoleArn"]))
                yield by_role(role, f"logs:{action}", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:RDSOSMetrics:log-stream:x")


def trusted(resources: Resources) -> Iterator[tuple[str, str]]:
    """Each role with the service that takes it."""
    users = {
        "AWS::Lambda::Function": ("lambda", "Role"),
        "AWS::Scheduler::Schedule": ("scheduler", "Target/RoleArn"),
        "AWS::EC2::FlowLog": ("vpc-flow-logs", "DeliverLogsPermissionArn"),
        "AWS::CloudTrail::Trail": ("cloudtrail", "CloudWatchLogsRoleArn"),
        "AWS::RDS::DBInstance": ("monitoring.rds", "MonitoringRoleArn"),
        "AWS::Backup::BackupSelection": ("backup", "BackupSelection/IamRoleArn"),
    }
    for kind, (service, path) in users.items():
        for _, properties in of_type(resources, kind):
            value: Value = properties
            for part in path.split("/"):
                value = value.get(part, {}) if isinstance(value, dict) else {}
            if value:
                yield named(text(value)), f"{service}.amazonaws.com"


def of_services(resources: Resources) -> Iterator[Call]:
    """What services do in their own name with what the stack lets them: write logs, events and mails under its keys."""
    here = {"aws:SourceAccount": ACCOUNT}
    for name, group in of_type(resources, "AWS::Logs::LogGroup"):
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{text(group.get('LogGroupName', name))}"
        for action in ("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "DescribeKey"):
            context = {"kms:EncryptionContext:aws:logs:arn": arn}
            yield by_service(f"logs.{REGION}.amazonaws.com", f"kms:{action}", text(group.get("KmsKeyId", "")), context)
    for name, topic in of_type(resources, "AWS::SNS::Topic"):
        key = text(topic.get("KmsMasterKeyId", ""))
        for service in senders(resources, name):
            events = service == "events.amazonaws.com"
            context = {"kms:EncryptionContext:aws:sns:topicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts"} if events else here
            yield by_service(service, "sns:Publish", f"<{name}>", {} if events else here)
            for action in ("kms:Decrypt", "kms:GenerateDataKey"):
                yield by_service(service, action, key, context)
    for _, rule in of_type(resources, "AWS::Events::Rule"):
        for target in rule["Targets"]:
            for arn in [target["Arn"], target.get("DeadLetterConfig", {}).get("Arn")]:
                if arn and resources.get(named(text(arn)), {}).get("Type") == "AWS::SQS::Queue":
                    yield from _events_to(resources, text(arn), here)
    for _, bus in of_type(resources, "AWS::Events::EventBus"):
        for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"):
            yield by_service("events.amazonaws.com", action, text(bus.get("KmsKeyIdentifier", "")), here)
        if "DeadLetterConfig" in bus:
            yield from _events_to(resources, text(bus["DeadLetterConfig"]["Arn"]), here)
    for _, bucket in of_type(resources, "AWS::S3::Bucket"):
        if "LoggingConfiguration" in bucket:
            logs = named(text(bucket["LoggingConfiguration"]["DestinationBucketName"]))
            yield by_service("logging.s3.amazonaws.com", "s3:PutObject", f"<{logs}.Arn>/x", here)
    for _, trail in of_type(resources, "AWS::CloudTrail::Trail"):
        context = {"aws:SourceArn": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{text(trail['TrailName'])}"}
        bucket = f"<{named(text(trail['S3BucketName']))}.Arn>"
        yield by_service("cloudtrail.amazonaws.com", "s3:GetBucketAcl", bucket, context)
        yield by_service("cloudtrail.amazonaws.com", "s3:PutObject", f"{bucket}/AWSLogs/{ACCOUNT}/x", context)
        for action in ("kms:GenerateDataKey", "kms:DescribeKey"):
            yield by_service("cloudtrail.amazonaws.com", action, text(trail.get("KMSKeyId", "")), context)


def senders(resources: Resources, topic: str) -> list[str]:
    """The services that publish to a topic."""
    kinds = {
        "AWS::CloudWatch::Alarm": "cloudwatch.amazonaws.com",
        "AWS::Budgets::Budget": "budgets.amazonaws.com",
        "AWS::RDS::EventSubscription": "events.rds.amazonaws.com",
        "AWS::Events::Rule": "events.amazonaws.com",
    }
    return [
        service
        for kind, service in kinds.items()
        if any(f'"{topic}"' in json.dumps(properties) for _, properties in of_type(resources, kind))
    ]


def function_arn(function: Value) -> str:
    """The ARN of a function, spelled out as policies do, which cannot refer to the function that waits for them."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{text(function['FunctionName'])}"


def claim_check_buckets(own: dict[str, Value]) -> list[str]:
    """The buckets of others that a function's environment names."""
    return [one for one in text(own.get("CLAIM_CHECK_BUCKETS", "")).split(",") if one]


def rotates(own: dict[str, Value]) -> bool:
    """Whether a function's environment is that of the rotation."""
    return "ROTATION_STRATEGY" in own


@cache
def archive_keys() -> tuple[str, ...]:
    """A key of each kind of object."""
    return tuple(f"{prefix}v1/x" for prefix in sources.prefixes())


def _sends(resources: Resources, role: str, queue: str) -> Iterator[Call]:
    yield by_role(role, "sqs:SendMessage", queue)
    yield from _with_queue_key(resources, role, queue, ("kms:Decrypt", "kms:GenerateDataKey"))


def _with_queue_key(resources: Resources, role: str, queue: str, uses: tuple[str, ...]) -> Iterator[Call]:
    key = text(resources.get(named(queue), {}).get("Properties", {}).get("KmsMasterKeyId", ""))
    for use in uses if key else ():
        yield by_role(role, use, key, via=f"sqs.{REGION}.amazonaws.com")


def _events_to(resources: Resources, queue: str, context: dict[str, str]) -> Iterator[Call]:
    yield by_service("events.amazonaws.com", "sqs:SendMessage", queue, context)
    key = text(resources[named(queue)]["Properties"].get("KmsMasterKeyId", ""))
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        yield by_service("events.amazonaws.com", action, key, context)


def _with_key(role: str, action: str, key: str, **context: str) -> Iterator[tuple[Call, bool]]:
    # Secrets Manager and S3 call KMS, from where they are.
    for use in KEY_USES.get(action, ()) if key else ():
        yield by_role(role, use, key, **context), False


def _bucket_key(resources: Resources, bucket: str) -> str:
    rules = resources.get(named(bucket), {}).get("Properties", {}).get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    keys = [rule.get("ServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in as_list(rules)]
    return next((text(key) for key in keys if key), "")


def _secret_key(resources: Resources, secret: str) -> str:
    """The key of a secret of the stack's own, by way of its attachment or its cluster; of another's nothing is known."""
    owner = resources.get(named(secret), {})
    properties = owner.get("Properties", {})
    if owner.get("Type") == "AWS::SecretsManager::SecretTargetAttachment":
        properties = resources.get(named(text(properties["SecretId"])), {}).get("Properties", {})
    if owner.get("Type") == "AWS::RDS::DBCluster":
        properties = properties.get("MasterUserSecret", {})
    return text(properties["KmsKeyId"]) if "KmsKeyId" in properties else ""
