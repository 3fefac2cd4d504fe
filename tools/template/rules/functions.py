"""Rules about the functions and about what roles may do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graph import Resources, depends_on, identity_statements, key, of_type, statements, variables

# Actions for which IAM knows no resource, by the Service Authorization Reference.
WITHOUT_RESOURCE = {
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "secretsmanager:GetRandomPassword",
}
# By docs/environment.md.
ACCEPTED = {
    "DURABILITY": "rows|s3",
    "OWNERSHIP": "enforce|record",
    "S3_LAYOUT": "turn|legacy",
    "REDACTION": r"off|mask|hash|drop|\{.+\}",
}
# The drift detection reads the configuration of everything, as whoever asks for it has to.
READS_ALL_CONFIGURATION = "DriftRole"
READERS = re.compile(r"^[a-z0-9]+:(Describe|Get|List|View)\w*\*?$")
READS_CONTENT = (
    "s3:GetObject",
    "secretsmanager:GetSecretValue",
    "sqs:ReceiveMessage",
    "logs:GetLogEvents",
)


def functions_are_closed(resources: Resources) -> Iterator[str]:
    """Two functions, each its own runtime in the VPC, with a key, a log group and a queue for what fails."""
    functions = dict(of_type(resources, "AWS::Lambda::Function"))
    if len(functions) != 2:
        yield f"there are {len(functions)} functions, not 2"
    for name, function in functions.items():
        if function.get("Runtime") != "provided.al2023" or function.get("Handler") != "bootstrap":
            yield f"{name} is not a binary of ours"
        if function.get("Architectures") not in (["arm64"], ["x86_64"]):
            yield f"{name} is for no processor that we build for"
        for setting in ("VpcConfig", "KmsKeyArn", "DeadLetterConfig"):
            if setting not in function:
                yield f"{name} has no {setting}"
        group = function.get("LoggingConfig", {}).get("LogGroup", {})
        if resources.get(group.get("Ref"), {}).get("Type") != "AWS::Logs::LogGroup":
            yield f"{name} makes its own log group, without key or end"


def capture_starts_with_its_settings(resources: Resources) -> Iterator[str]:
    """Each setting of capture that a parameter decides is there, with a value that the function accepts."""
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        own = variables(function)
        for setting, accepted in ACCEPTED.items() if "CONVERSATIONS_BUCKET" in own else ():
            if not re.fullmatch(accepted, str(own.get(setting, ""))):
                yield f"{name}: {setting} is {own.get(setting)}"


def time_limits_fit(resources: Resources) -> Iterator[str]:
    """A connect ends within the invocation, and a batch does not come back while it is worked on."""
    functions = dict(of_type(resources, "AWS::Lambda::Function"))
    for name, function in functions.items():
        if int(variables(function).get("CONNECT_BUDGET_SECONDS", 8)) >= function["Timeout"]:
            yield f"{name} may be connecting when its time is over"
    for name, mapping in of_type(resources, "AWS::Lambda::EventSourceMapping"):
        queue = resources[mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        function = functions[mapping["FunctionName"]["Ref"]]
        if queue["VisibilityTimeout"] < 6 * function["Timeout"]:
            yield f"{name}: the queue hides a message for less than six timeouts"
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: one bad record brings the whole batch back"


def functions_wait_for_their_policies(resources: Resources) -> Iterator[str]:
    """Lambda attaches a function to the VPC with the function's role, so the policy must be there first."""
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        role = {"Ref": function["Role"]["Fn::GetAtt"][0]}
        policies = [
            policy for policy, properties in of_type(resources, "AWS::IAM::ManagedPolicy") if role in properties["Roles"]
        ]
        if not set(policies) & set(depends_on(resources[name])):
            yield f"{name} does not wait for {' or '.join(policies)}"
    for name, _ in of_type(resources, "AWS::SecretsManager::RotationSchedule"):
        permissions = {permission for permission, _ in of_type(resources, "AWS::Lambda::Permission")}
        if not permissions & set(depends_on(resources[name])):
            yield f"{name} does not wait for the permission to call the function"


def no_confused_deputy(resources: Resources) -> Iterator[str]:
    """Secrets Manager may call the function for one secret of this account, and services take roles for this account only."""
    for name, permission in of_type(resources, "AWS::Lambda::Permission"):
        if "SourceAccount" not in permission or "SourceArn" not in permission:
            yield f"{name} lacks SourceAccount or SourceArn"
    for name, role in of_type(resources, "AWS::IAM::Role"):
        for statement in statements(role["AssumeRolePolicyDocument"], name):
            # Lambda sends no source with a role that it takes.
            if statement.services() != ["lambda.amazonaws.com"] and "aws:SourceAccount" not in key(statement.condition):
                yield f"{name} can be taken by a service on behalf of another account"


def policies_are_where_checkers_look(resources: Resources) -> Iterator[str]:
    """checkov, cdk-nag and Guard look into managed policies, and not into the other places for a policy."""
    for name, _ in of_type(resources, "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy", "AWS::IAM::Policy"):
        yield f"{name} is of a type that is not looked into"
    for name, role in of_type(resources, "AWS::IAM::Role"):
        if "Policies" in role:
            yield f"{name} has policies inside"


def policies_speak_the_language_of_2012(resources: Resources) -> Iterator[str]:
    """Without its version a policy is of 2008, and takes a variable in it for text."""
    kinds = {
        "AWS::IAM::ManagedPolicy": "PolicyDocument",
        "AWS::IAM::Role": "AssumeRolePolicyDocument",
        "AWS::S3::BucketPolicy": "PolicyDocument",
        "AWS::SQS::QueuePolicy": "PolicyDocument",
        "AWS::SNS::TopicPolicy": "PolicyDocument",
        "AWS::KMS::Key": "KeyPolicy",
        "AWS::SecretsManager::ResourcePolicy": "ResourcePolicy",
        "AWS::EC2::VPCEndpoint": "PolicyDocument",
    }
    for kind, setting in kinds.items():
        for name, properties in of_type(resources, kind):
            if properties.get(setting, {}).get("Version") != "2012-10-17":
                yield f"{name}: the policy is not of 2012"


def actions_are_named(resources: Resources) -> Iterator[str]:
    """No role of ours may do everything of a service; patterns are for reading configuration only."""
    for statement in identity_statements(resources):
        for action in statement.actions if statement.effect == "Allow" else []:
            if "*" in action and not (statement.owner == READS_ALL_CONFIGURATION and READERS.match(action)):
                yield f"{statement.owner}, {statement.sid}: {action}"


def resources_are_named(resources: Resources) -> Iterator[str]:
    """Every resource is for actions that know no narrower one, and for the reader of configuration, which reads no content."""
    for statement in identity_statements(resources):
        if statement.effect != "Allow" or "*" not in statement.resources:
            continue
        if statement.owner == READS_ALL_CONFIGURATION:
            for content in READS_CONTENT:
                if statement.allows(content):
                    yield f"{statement.owner}, {statement.sid}: {content} reads more than configuration"
        elif unknown := set(statement.actions) - WITHOUT_RESOURCE:
            yield f"{statement.owner}, {statement.sid}: {', '.join(sorted(unknown))} on every resource"


RULES = (
    functions_are_closed,
    capture_starts_with_its_settings,
    time_limits_fit,
    functions_wait_for_their_policies,
    no_confused_deputy,
    policies_are_where_checkers_look,
    policies_speak_the_language_of_2012,
    actions_are_named,
    resources_are_named,
)
