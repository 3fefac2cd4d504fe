"""Rules about calls: what the stack's parts need is allowed on the whole way, nothing else is, and strangers are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from access import (
    ELSEWHERE, OTHER_ACCOUNT, REGION, archive_keys, claim_check_buckets, function_calls, kinds_of_any_variant, lambda_calls, log_calls,
    of_services, reads_of_configuration, rotates, schedule_calls, trusted,
)  # fmt: skip
from documents import Value
from graph import Resources, Statement, as_list, of_type, statements, variables
from policy import (
    ACCOUNT, OF_THE_ACCOUNT, ROOT_OF_ACCOUNT, Call, Policies, by_service, matches, named, speaks_of, take,
    text, verdict,
)  # fmt: skip
from rules.secret import identity_secrets

# The detection of drift, as rules/functions.py knows it.
READS_ALL_CONFIGURATION = "DriftRole"
# What is allowed and nothing of the stack calls, each with the reason.
UNUSED = {
    ("CloudTrail", "kms:GenerateDataKey*"): "the key's policy is one for all stages, and not each has a trail",
    ("CloudTrail", "kms:DescribeKey"): "likewise",
}


def calls_are_allowed(resources: Resources) -> Iterator[str]:
    """Every call that the code, AWS on its behalf, or another part of the stack makes passes all policies on its way."""
    for call, through_endpoint, _ in _needed(resources):
        if not Policies.of(resources).allow(call, through_endpoint):
            yield f"refused: {call}"
    for call in _of_the_account(resources):
        if not Policies.of(resources).allow(call):
            yield f"refused: {call}"
    for role, service in trusted(resources):
        if not _may_take(resources, role, by_service(service, "sts:AssumeRole", f"<{role}.Arn>", {"aws:SourceAccount": ACCOUNT})):
            yield f"{service} may not take {role}"


def nothing_unused_is_allowed(resources: Resources) -> Iterator[str]:
    """What a policy allows is needed by some call, action by action and resource by resource."""
    calls = [one.call for one in _needed(resources)] + list(_of_the_account(resources))
    calls += reads_of_configuration(READS_ALL_CONFIGURATION, kinds_of_any_variant())
    by_principal: dict[str, list[Call]] = {}
    for call in calls:
        by_principal.setdefault(call.principal, []).append(call)
    others = [call for call in calls if not call.principal.startswith("<")]
    by_code = [one.call for one in _needed(resources) if one.through_endpoint]
    taken = {role for role, _ in trusted(resources)}
    for name, role in of_type(resources, "AWS::IAM::Role"):
        if name not in taken:
            yield f"nobody takes {name}"
        for statement in statements(role["AssumeRolePolicyDocument"], name):
            if statement.actions != ["sts:AssumeRole"]:
                yield f"{name} may be more than taken: {statement.actions}"
    for statement in _all_statements(resources):
        if statement.effect != "Allow" or _is_administration(statement) or all(map(_is_foreign, map(text, statement.resources))):
            continue
        own = by_code if statement.principals == "*" else by_principal.get(_role_of(statement), others)
        used = [call for call in own if speaks_of(statement, call)]
        for action in statement.actions:
            needed = [call for call in used if take((action,), call.action)]
            exact = not any(take((action,), other) for other in _more_than(action))
            if not needed and (statement.sid, action) not in UNUSED:
                yield f"{statement.owner}, {statement.sid}: nobody needs {action}"
            elif not exact and not _is_pattern_of_reading(action):
                yield f"{statement.owner}, {statement.sid}: {action} is more than is needed"
        for resource in map(text, statement.resources):
            if _is_foreign(resource):
                continue
            about = [call for call in used if matches(resource, call.resource)]
            if used and not about:
                yield f"{statement.owner}, {statement.sid}: nobody needs {resource}"
            elif _is_wider(resource, about):
                yield f"{statement.owner}, {statement.sid}: {resource} is more than is needed"


def strangers_are_refused(resources: Resources) -> Iterator[str]:
    """The same calls from elsewhere, on behalf of others, or past the service that they were meant for are refused."""
    policies = Policies.of(resources)
    for _, through_endpoint, elsewhere in _needed(resources):
        for other in elsewhere:
            if policies.allow(other, through_endpoint):
                yield f"allowed: {other}"
    for call in lambda_calls(resources):
        if call.action.startswith("ec2:"):
            for function in _functions_of(resources, call.principal):
                if policies.allow(call.but(context={"lambda:SourceFunctionArn": function})):
                    yield f"the code of {function} may call {call.action}"
    for role, service in trusted(resources):
        here = by_service(service, "sts:AssumeRole", f"<{role}.Arn>", {"aws:SourceAccount": ACCOUNT})
        strangers = [here.but(principal="ec2.amazonaws.com"), here.but(principal=f"arn:aws:iam::{OTHER_ACCOUNT}:root")]
        # Lambda sends no source with a role that it takes.
        strangers += [here.but(context={"aws:SourceAccount": OTHER_ACCOUNT})] if service != "lambda.amazonaws.com" else []
        for stranger in strangers:
            if _may_take(resources, role, stranger):
                yield f"{role} may be taken: {stranger}"
    for call in _consumer_calls(resources):
        for other in _elsewhere(resources, call) if call.action.startswith("kms:") else ():
            if policies.allow(other):
                yield f"allowed: {other}"
    yield from _walls(resources)


RULES = (calls_are_allowed, nothing_unused_is_allowed, strangers_are_refused)


class _Needed(NamedTuple):
    """A call, whether it goes through the VPC's endpoints, and the same as strangers would make it."""

    call: Call
    through_endpoint: bool
    elsewhere: tuple[Call, ...]


# On these the calls depend, besides on which types there are; on policies they do not.
CALLERS = (
    "AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping", "AWS::Scheduler::Schedule", "AWS::EC2::FlowLog", "AWS::CloudTrail::Trail",
    "AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::SecretsManager::Secret", "AWS::SecretsManager::SecretTargetAttachment",
    "AWS::Logs::LogGroup", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::Events::Rule", "AWS::Events::EventBus", "AWS::S3::Bucket",
    "AWS::CloudWatch::Alarm", "AWS::Budgets::Budget", "AWS::RDS::EventSubscription",
)  # fmt: skip


def _needed(resources: Resources) -> list[_Needed]:
    """Each call once; they are kept for the next stack with the same callers."""
    callers = [properties for _, properties in of_type(resources, *CALLERS)]
    about = (*map(id, callers), *sorted({resource["Type"] for resource in resources.values()}))
    if not _last or _last[0][0] != about:
        found = {call.number: (call, through_endpoint) for call, through_endpoint in function_calls(resources)}
        for calls in (lambda_calls, schedule_calls, log_calls, of_services):
            found.update((call.number, (call, False)) for call in calls(resources))
        made = [_Needed(call, through, tuple(_elsewhere(resources, call))) for call, through in found.values()]
        # With the callers, whose identities would otherwise be given to others.
        _last[:] = [(about, made, callers)]
    return _last[0][1]


_last: list[tuple[tuple[int | str, ...], list[_Needed], list[Value]]] = []


def _of_the_account(resources: Resources) -> Iterator[Call]:
    """What identities outside the stack are let to do: put events, and read the secret of which they are a consumer."""
    for name, _ in of_type(resources, "AWS::Events::EventBus"):
        yield Call(f"arn:aws:iam::{ACCOUNT}:role/sender", "events:PutEvents", f"<{name}.Arn>", {**OF_THE_ACCOUNT, **CAPTURED})
    yield from _consumer_calls(resources)


def _consumer_calls(resources: Resources) -> Iterator[Call]:
    """What a role of another account does with the secret, by AWS's page on secrets of another account."""
    for consumer, secret in _consumers(resources):
        owner = named(text(resources[named(secret)]["Properties"]["SecretId"]))
        key = text(resources[owner]["Properties"]["KmsKeyId"])
        for action, resource in (
            ("secretsmanager:DescribeSecret", secret),
            ("secretsmanager:GetSecretValue", secret),
            ("kms:Decrypt", key),
            ("kms:DescribeKey", key),
        ):
            yield Call(consumer, action, resource, _of_consumer(consumer))


CAPTURED = {"events:detail-type": "conversation.captured"}


def _consumers(resources: Resources) -> list[tuple[str, str]]:
    """The roles of other accounts that the application's secret or its key names, with the secret."""
    found: set[tuple[str, str]] = set()
    for _, properties in of_type(resources, "AWS::SecretsManager::ResourcePolicy"):
        secret = text(properties["SecretId"])
        owner = resources.get(named(text(resources.get(named(secret), {}).get("Properties", {}).get("SecretId", ""))), {})
        key = resources.get(named(text(owner.get("Properties", {}).get("KmsKeyId", ""))), {}).get("Properties", {})
        documents = [properties["ResourcePolicy"], *([key["KeyPolicy"]] if "KeyPolicy" in key else [])]
        for statement in [one for document in documents for one in statements(document, "")]:
            principals = as_list(statement.principals.get("AWS", [])) if isinstance(statement.principals, dict) else []
            found |= {(text(one), secret) for one in principals if text(one).count(":") == 5 and text(one) != ROOT_OF_ACCOUNT}
    return sorted(found)


def _of_consumer(consumer: str) -> dict[str, str]:
    return {
        **OF_THE_ACCOUNT,
        "aws:PrincipalAccount": consumer.split(":")[4],
        "aws:PrincipalArn": consumer,
        "kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com",
    }


def _all_statements(resources: Resources) -> Iterator[Statement]:
    policies = Policies.of(resources)
    for group in (policies.identity, policies.on, policies.endpoints):
        for own in group.values():
            yield from own


def _role_of(statement: Statement) -> str:
    """The role of the stack whose policy a statement is from, or nothing."""
    return str(statement.principals.get("AWS", "")) if isinstance(statement.principals, dict) else ""


def _is_foreign(resource: str) -> bool:
    """Whether a parameter names it: whoever made it knows its calls."""
    return resource.startswith("arn:aws:") and (":secret:" in resource or ":key/" in resource)


def _is_administration(statement: Statement) -> bool:
    """A key's first statement, which hands the decision to the account's IAM policies."""
    principals = statement.principals
    return isinstance(principals, dict) and principals.get("AWS") == ROOT_OF_ACCOUNT and statement.actions == ["kms:*"]


def _more_than(action: str) -> list[str]:
    """Actions of a service that no pattern of ours takes, for nothing of ours needs them."""
    service = action.split(":")[0] if ":" in action else "any"
    return [f"{service}:{made_up}" for made_up in ("CreateGrant", "DeleteIt", "PutIt", "UpdateIt")]


def _is_pattern_of_reading(action: str) -> bool:
    return action in ("kms:GenerateDataKey*", "kms:ReEncrypt*")


def _is_wider(resource: str, calls: list[Call]) -> bool:
    """Whether a pattern takes what none of its calls is about: the parent of what they name, or everything."""
    if "*" not in resource:
        return False
    if resource == "*":
        return any(call.resource != "*" and not _is_of_the_policys_owner(call) for call in calls)
    return any(matches(resource, wider) for wider in WIDER)


def _is_of_the_policys_owner(call: Call) -> bool:
    """In the policy of a key or a secret every resource is that key or secret."""
    return call.action.startswith(("kms:", "secretsmanager:")) and not call.principal.startswith("<")


# One of each kind that nobody needs the whole of.
WIDER = (
    "<ConversationsBucket.Arn>/x", "<TrailBucket.Arn>/x", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:x:log-stream:x",
    f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/x", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:x",
)  # fmt: skip


def _elsewhere(resources: Resources, call: Call) -> Iterator[Call]:
    """A needed call as a stranger would make it: with another value for what it proves, or without."""
    for key in call.context:
        if key.startswith("kms:") or key == "secretsmanager:resource/AllowRotationLambdaArn":
            if key.startswith("secretsmanager:") and not _is_rotation(resources, call.principal):
                continue
            yield call.but(context={key: ELSEWHERE})
        elif key in ("aws:SourceAccount", "aws:SourceArn"):
            yield call.but(context={key: OTHER_ACCOUNT})
    if not call.principal.startswith("<"):
        yield call.but(principal="ec2.amazonaws.com")
        yield call.but(principal=f"arn:aws:iam::{OTHER_ACCOUNT}:role/stranger", context={"aws:PrincipalAccount": OTHER_ACCOUNT})


def _is_rotation(resources: Resources, principal: str) -> bool:
    return any(
        rotates(variables(function)) and text(function["Role"]) == principal
        for _, function in of_type(resources, "AWS::Lambda::Function")
    )


def _functions_of(resources: Resources, principal: str) -> list[str]:
    return [
        f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{text(function['FunctionName'])}"
        for _, function in of_type(resources, "AWS::Lambda::Function")
        if text(function["Role"]) == principal
    ]


def _may_take(resources: Resources, role: str, call: Call) -> bool:
    properties = resources.get(role, {}).get("Properties", {})
    return "AssumeRolePolicyDocument" in properties and verdict(statements(properties["AssumeRolePolicyDocument"], role), call) == "allow"


def _walls(resources: Resources) -> Iterator[str]:
    """What must be denied to whoever asks, the account's own administrator included, and what must not be."""
    policies = Policies.of(resources)
    administrator = f"arn:aws:iam::{ACCOUNT}:role/administrator"
    own = Call(administrator, "", "", {**OF_THE_ACCOUNT, "aws:PrincipalArn": administrator})
    foreign = {"aws:PrincipalAccount": OTHER_ACCOUNT, "aws:PrincipalArn": f"arn:aws:iam::{OTHER_ACCOUNT}:role/stranger"}
    service = {"aws:PrincipalAccount": None, "aws:PrincipalArn": None, "aws:PrincipalIsAWSService": "true"}
    plain = {"aws:SecureTransport": "false"}

    def expect(wanted: str, call: Call) -> Iterator[str]:
        if policies.deny(call) != (wanted == "deny"):
            yield f"{'not denied' if wanted == 'deny' else 'denied'}: {call}"

    for name, _ in of_type(resources, "AWS::S3::Bucket"):
        for action, resource in (("s3:ListBucket", f"<{name}.Arn>"), ("s3:GetObject", f"<{name}.Arn>/x"), ("s3:PutObject", f"<{name}.Arn>/x")):
            call = own.but(action=action, resource=resource)
            yield from expect("deny", call.but(context=plain))
            yield from expect("", call)
    for kind, actions in (("AWS::SQS::Queue", ("sqs:SendMessage", "sqs:ReceiveMessage")), ("AWS::SNS::Topic", ("sns:Publish",))):
        for name, _ in of_type(resources, kind):
            for action in actions:
                call = own.but(action=action, resource=f"<{name}.Arn>" if kind == "AWS::SQS::Queue" else f"<{name}>")
                yield from expect("deny", call.but(context=plain))
                yield from expect("", call)
    for about in policies.on:
        for action in ("kms:Decrypt", "sns:Publish", "sqs:SendMessage", "s3:GetObject", "s3:PutObject", "secretsmanager:GetSecretValue"):
            for resource in (f"<{about}>", f"<{about}.Arn>", f"<{about}.Arn>/x"):
                stranger = own.but(f"arn:aws:iam::{OTHER_ACCOUNT}:role/stranger", action, resource, {**foreign, "kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"})
                if policies.allow(stranger):
                    yield f"allowed: {stranger}"
    archives = {named(text(variables(one).get("CONVERSATIONS_BUCKET", ""))) for _, one in of_type(resources, "AWS::Lambda::Function")}
    for name in sorted(archives - {""}):
        yield from _archive_walls(resources, name, own, foreign, service)
    yield from _secret_walls(resources, own, foreign, service)
    yield from _endpoint_walls(resources, own, foreign)
    for name, _ in of_type(resources, "AWS::Events::EventBus"):
        put = Call(own.principal, "events:PutEvents", f"<{name}.Arn>", {**own.context, **CAPTURED})
        for other in (put.but(context={"events:detail-type": "other"}), put.but(action="events:PutRule"), put.but(principal="x", context=foreign)):
            if verdict(policies.of_resource(other.resource), other) == "allow":
                yield f"allowed: {other}"
        if verdict(policies.of_resource(put.resource), put) != "allow":
            yield f"refused: {put}"


def _archive_walls(resources: Resources, name: str, own: Call, foreign: dict[str, Value], service: dict[str, Value]) -> Iterator[str]:
    encryption, key_id = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
    default = resources[name]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]
    key = text(default.get("KMSMasterKeyID", ""))
    for object_key in archive_keys():
        put = own.but(action="s3:PutObject", resource=f"<{name}.Arn>/{object_key}")
        for wanted, context in (
            ("deny", {"s3:TlsVersion": "1.1"}),
            ("deny", {encryption: "AES256"}),
            ("deny", {encryption: "aws:kms", key_id: ELSEWHERE}),
            ("deny", foreign),
            ("", {encryption: "aws:kms", key_id: key}),
            ("", service),
        ):
            call = put.but(context=context)
            if Policies.of(resources).deny(call) != (wanted == "deny"):
                yield f"{'not denied' if wanted else 'denied'}: {call}"
    for context in ({"s3:TlsVersion": "1.1"}, foreign):
        call = own.but(action="s3:ListBucket", resource=f"<{name}.Arn>", context=context)
        if not Policies.of(resources).deny(call):
            yield f"not denied: {call}"


def _secret_walls(resources: Resources, own: Call, foreign: dict[str, Value], service: dict[str, Value]) -> Iterator[str]:
    with_policy = {text(one["SecretId"]) for _, one in of_type(resources, "AWS::SecretsManager::ResourcePolicy")}
    for name, one in of_type(resources, "AWS::SecretsManager::SecretTargetAttachment"):
        if f"<{name}>" not in with_policy:
            yield f"{text(one['SecretId'])} has no policy"
    identity = {f"<{name}>" for name in identity_secrets(resources)}
    for secret in sorted(identity - with_policy):
        yield f"{secret} has no policy"
    consumers = {consumer for consumer, _ in _consumers(resources)}
    for _, properties in of_type(resources, "AWS::SecretsManager::ResourcePolicy"):
        if properties.get("BlockPublicPolicy") is not True:
            yield "the secret's policy may become public"
        secret = text(properties["SecretId"])
        policy = list(statements(properties["ResourcePolicy"], ""))
        read = own.but(action="secretsmanager:GetSecretValue", resource=secret)
        if secret in identity:
            yield from _identity_walls(resources, policy, read, foreign, service)
            continue
        strict = [one for one in policy if one.sid == "OnlyTheFunctionsAndTheOperatorRead"]
        expected = [("deny", read.but(context=foreign)), ("deny", read.but(action="secretsmanager:PutSecretValue", context=foreign)), ("", read.but(context=service))]
        expected += [("", Call(one, read.action, secret, _of_consumer(one))) for one in consumers]
        expected += [
            ("", read.but(context={"aws:PrincipalArn": text(function["Role"])}))
            for _, function in of_type(resources, "AWS::Lambda::Function")
        ]
        expected.append(("deny" if strict else "", read))
        for statement in strict:
            admitted = set(map(text, as_list(statement.condition["ArnNotEquals"]["aws:PrincipalArn"]))) - consumers
            operators = admitted - {text(function["Role"]) for _, function in of_type(resources, "AWS::Lambda::Function")}
            if not operators or not all(matches(f"arn:aws:iam::{ACCOUNT}:role/?*", one) for one in operators):
                yield f"no operator reads the secret: {sorted(operators)}"
        for wanted, call in expected:
            if (verdict(policy, call) == "deny") != (wanted == "deny"):
                yield f"{'not denied' if wanted else 'denied'}: {call}"


def _identity_walls(resources: Resources, policy: list[Statement], read: Call, foreign: dict[str, Value], service: dict[str, Value]) -> Iterator[str]:
    """Nobody but the function that names it reads the key of redaction; the account's administrator may do all else with it."""
    expected = [
        ("deny", read),
        ("deny", read.but(context=foreign)),
        ("deny", read.but(action="secretsmanager:PutSecretValue", context=foreign)),
        ("", read.but(action="secretsmanager:PutResourcePolicy")),
        ("", read.but(context=service)),
    ]
    for _, function in of_type(resources, "AWS::Lambda::Function"):
        wanted = "" if text(variables(function).get("IDENTITY_KEY_SECRET", "")) == read.resource else "deny"
        expected.append((wanted, read.but(context={"aws:PrincipalArn": text(function["Role"])})))
    for wanted, call in expected:
        if (verdict(policy, call) == "deny") != (wanted == "deny"):
            yield f"{'not denied' if wanted else 'denied'}: {call}"


def _endpoint_walls(resources: Resources, own: Call, foreign: dict[str, Value]) -> Iterator[str]:
    claimed = [bucket for _, function in of_type(resources, "AWS::Lambda::Function") for bucket in claim_check_buckets(variables(function))]
    for service, action, resource in (
        ("secretsmanager", "secretsmanager:GetSecretValue", ELSEWHERE),
        ("secretsmanager", "secretsmanager:DeleteSecret", "<ApplicationSecretAddress>"),
        ("secretsmanager", "secretsmanager:PutSecretValue", "<IdentitySecret>"),
        ("s3", "s3:PutObject", "<AccessLogBucket.Arn>/x"),
        ("s3", "s3:PutObject", f"arn:aws:s3:::{ELSEWHERE}/conversations/x"),
        ("s3", "s3:DeleteObject", "<ConversationsBucket.Arn>/conversations/x"),
        *(("s3", action, f"arn:aws:s3:::{bucket}/x") for bucket in claimed for action in ("s3:PutObject", "s3:DeleteObject")),
    ):
        found = Policies.of(resources).of_endpoint(service)
        if found is not None and verdict(found, own.but(action=action, resource=resource)) == "allow":
            yield f"the endpoint of {service} lets {action} on {resource} through"
    for call, through_endpoint in function_calls(resources):
        found = Policies.of(resources).of_endpoint(call.action.split(":")[0]) if through_endpoint else None
        if found is not None and verdict(found, call.but(context=foreign)) == "allow":
            yield f"an endpoint lets another account through: {call}"
