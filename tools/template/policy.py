"""Decides about calls as IAM does: identity policies, resource policies, key policies and those of VPC endpoints.

Only what the stack's policies use is known; an unknown operator or an unreadable statement is an error, not a guess. See IAM's
User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from documents import Value
from evaluate import PSEUDO, TemplateError
from graph import Resources, Statement, as_list, of_type, statements

ACCOUNT = str(PSEUDO["AWS::AccountId"])
ROOT_OF_ACCOUNT = f"arn:aws:iam::{ACCOUNT}:root"


class Call:
    """One call of an API, as a policy sees it."""

    __slots__ = ("action", "context", "number", "principal", "resource")

    def __init__(self, principal: str, action: str, resource: str, context: dict[str, str]) -> None:
        self.principal = principal
        self.action = action
        self.resource = resource
        self.context = context
        # Equal calls have one number.
        self.number = _numbers.setdefault((principal, action, resource, *context.items()), len(_numbers))

    def but(self, principal: str = "", action: str = "", resource: str = "", context: dict[str, Value] | None = None) -> Call:
        """Another call that differs in what is given; a key of the context that is given no value is taken out."""
        changed = {key: value for key, value in {**self.context, **(context or {})}.items() if value is not None}
        return Call(principal or self.principal, action or self.action, resource or self.resource, changed)

    def __str__(self) -> str:
        """The call in the words of a finding."""
        given = ", ".join(f"{key} {value}" for key, value in self.context.items() if OF_THE_ACCOUNT.get(key) != value)
        return f"{self.principal}: {self.action} on {self.resource}" + (f" ({given})" if given else "")


_numbers: dict[tuple[Value, ...], int] = {}

# What every call of one of our roles carries.
OF_THE_ACCOUNT = {
    "aws:PrincipalAccount": ACCOUNT,
    "aws:PrincipalIsAWSService": "false",
    "aws:SecureTransport": "true",
    "s3:TlsVersion": "1.3",
}
# What a service says of the account for which it calls, by its own name.
OF_A_SERVICE = {"aws:PrincipalIsAWSService": "true", "aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}


def by_role(role: str, action: str, resource: str, **context: str) -> Call:
    """A call with the credentials of one of the stack's roles."""
    arn = f"<{role}.Arn>"
    return Call(arn, action, resource, {**OF_THE_ACCOUNT, "aws:PrincipalArn": arn, **_keys(context)})


def by_service(service: str, action: str, resource: str, context: dict[str, str] | None = None) -> Call:
    """A call of a service in its own name."""
    return Call(service, action, resource, {**OF_A_SERVICE, **(context or {})})


def text(value: Value) -> str:
    """A value as a policy has it, with what only a deployment knows in angle brackets: `<DataKey.Arn>`, `<Alerts>`."""
    if isinstance(value, dict) and len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref":
            return f"<{argument}>"
        if function == "Fn::GetAtt":
            return f"<{'.'.join(argument)}>"
        if function == "Fn::Join":
            return str(argument[0]).join(text(part) for part in argument[1])
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TemplateError(f"no text: {value}")


def named(resource: str) -> str:
    """The logical id in the text of a resource."""
    found = re.match(r"<(\w+)", resource)
    return found[1] if found else ""


@cache
def matches(pattern: str, value: str) -> bool:
    """Whether a pattern with `*` and `?` takes a value."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == value
    expression = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in pattern)
    return bool(re.fullmatch(expression, value, re.DOTALL))


@cache
def take(actions: tuple[str, ...], called: str) -> bool:
    """Whether one of a policy's actions, by name or pattern, is what is called; case does not count."""
    return any(matches(action.lower(), called.lower()) for action in actions)


def verdict(found: Iterable[Statement], call: Call) -> str:
    """`deny`, `allow`, or `silence` where no statement speaks of the call."""
    answers = {one.effect for one in found if speaks_of(one, call)}
    return "deny" if "Deny" in answers else "allow" if "Allow" in answers else "silence"


def speaks_of(statement: Statement, call: Call) -> bool:
    """Whether a statement is about a call."""
    known = _remembered.get(id(statement))
    if known is None:
        return _speaks_of(statement, call)
    answer = known.get(call.number)
    if answer is None:
        answer = known[call.number] = _speaks_of(statement, call)
    return answer


# Statements of a document that is asked again and again, with the answers so far; see `remember`.
_remembered: dict[int, dict[int, bool]] = {}
_documents: dict[int, tuple[Value, list[Statement]]] = {}


def remember(resources: Resources) -> None:
    """Keeps what is found out about the policies of a stack, most of which its mutants share."""
    policies = Policies(resources)
    for document, owner, principals in policies.documents:
        own = _parsed(document, owner, principals)
        _documents[id(document)] = (document, own)
        _remembered.update((id(statement), {}) for statement in own)


def _parsed(document: Value, owner: str, principals: Value = None) -> list[Statement]:
    known = _documents.get(id(document))
    if known is not None:
        return known[1]
    found = list(statements(document, owner))
    return found if principals is None else [one._replace(principals=principals) for one in found]


def _speaks_of(statement: Statement, call: Call) -> bool:
    return (
        _has_principal(statement.principals, call)
        and take(tuple(statement.actions), call.action)
        and _is_about(statement, call)
        and all(
            _holds(operator, key, as_list(wanted), call.context)
            for operator, keys in statement.condition.items()
            for key, wanted in keys.items()
        )
    )


class Policies:
    """The policies of an evaluated stack, by whom and by what they are about."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.size = len(resources)
        self.identity: dict[str, list[Statement]] = {}
        self.on: dict[str, list[Statement]] = {}
        self.endpoints: dict[str, list[Statement]] = {}
        # Each with its owner, and its principal where that is the role that has it.
        self.documents: list[tuple[Value, str, Value]] = []
        self._identities()
        self._on_resources()
        self._on_endpoints()

    @classmethod
    def of(cls, resources: Resources) -> Policies:
        """Those of a document; of the last one they are kept, since several rules ask for them."""
        if not _last or _last[0].resources is not resources or _last[0].size != len(resources):
            _last[:] = [cls(resources)]
        return _last[0]

    def of_identity(self, principal: str) -> list[Statement]:
        """What the policies of a role say."""
        return self.identity.get(principal, [])

    def of_resource(self, resource: str) -> list[Statement]:
        """What the policies on a resource say."""
        return self.on.get(named(resource) or resource, [])

    def of_endpoint(self, service: str) -> list[Statement] | None:
        """What the policy of the stack's endpoint of a service says; none where the stack has no such endpoint."""
        return self.endpoints.get(service)

    def allow(self, call: Call, through_endpoint: bool = False) -> bool:
        """Whether all policies on a call's way let it through."""
        on_resource = verdict(self.of_resource(call.resource), call)
        if not call.principal.startswith("<"):
            return on_resource == "allow"
        if verdict(self.of_identity(call.principal), call) != "allow" or on_resource == "deny":
            return False
        if call.action.startswith("kms:") and named(call.resource) and on_resource != "allow":
            return False
        endpoint = self.of_endpoint(call.action.split(":")[0]) if through_endpoint else None
        return endpoint is None or verdict(endpoint, call) == "allow"

    def deny(self, call: Call) -> bool:
        """Whether a policy on the resource denies a call, whatever its caller's own policies say."""
        return verdict(self.of_resource(call.resource), call) == "deny"

    def _identities(self) -> None:
        for policy, properties in of_type(self.resources, "AWS::IAM::ManagedPolicy"):
            for role in properties.get("Roles", []):
                arn = f"<{named(text(role))}.Arn>"
                self._add(self.identity, arn, properties["PolicyDocument"], policy, {"AWS": arn})

    def _on_resources(self) -> None:
        about = {"AWS::S3::BucketPolicy": "Bucket", "AWS::SQS::QueuePolicy": "Queues", "AWS::SNS::TopicPolicy": "Topics"}
        for kind, setting in about.items():
            for policy, properties in of_type(self.resources, kind):
                for one in as_list(properties.get(setting, [])):
                    self._add(self.on, text(one), properties["PolicyDocument"], policy)
        for policy, properties in of_type(self.resources, "AWS::SecretsManager::ResourcePolicy"):
            self._add(self.on, text(properties["SecretId"]), properties["ResourcePolicy"], policy)
        for policy, properties in of_type(self.resources, "AWS::Events::EventBusPolicy"):
            self._add(self.on, text(properties.get("EventBusName", "")), properties, policy)
        for name, properties in of_type(self.resources, "AWS::KMS::Key"):
            self._add(self.on, f"<{name}>", properties["KeyPolicy"], name)

    def _on_endpoints(self) -> None:
        for name, endpoint in of_type(self.resources, "AWS::EC2::VPCEndpoint"):
            service = text(endpoint["ServiceName"]).split(".")[-1]
            self._add(self.endpoints, service, endpoint.get("PolicyDocument", OPEN), name)

    def _add(self, group: dict[str, list[Statement]], about: str, document: Value, owner: str, principals: Value = None) -> None:
        about = about if group is self.identity else named(about) or about
        group.setdefault(about, []).extend(_parsed(document, owner, principals))
        self.documents.append((document, owner, principals))


_last: list[Policies] = []

# What an endpoint without a policy has.
OPEN = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}


def _is_about(statement: Statement, call: Call) -> bool:
    # Only a trust policy names no resource.
    return not statement.resources and call.action == "sts:AssumeRole" or any(matches(text(resource), call.resource) for resource in statement.resources)


def _has_principal(principals: Value, call: Call) -> bool:
    if principals == "*" or principals == {"AWS": call.principal}:
        return True
    for kind, names in principals.items():
        for name in map(text, as_list(names)):
            of_account = name == ROOT_OF_ACCOUNT and call.context.get("aws:PrincipalAccount") == ACCOUNT
            if name == "*" or name == call.principal or kind == "AWS" and of_account:
                return True
    return False


def _holds(operator: str, key: str, wanted: list[Value], context: dict[str, str]) -> bool:
    given = context.get(key)
    values = [text(value) for value in wanted]
    if operator == "Null":
        return (given is None) == (values == ["true"])
    base = operator.removesuffix("IfExists")
    negated = "Not" in base
    compare = COMPARISONS.get(base.replace("Not", ""))
    if compare is None:
        raise TemplateError(f"no condition operator of ours: {operator}")
    if given is None:
        # "Not equal" is true of what is not there.
        return negated or base != operator
    return negated != any(compare(value, given) for value in values)


COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, given: wanted == given,
    "StringLike": lambda wanted, given: matches(wanted, given),
    "ArnEquals": lambda wanted, given: matches(wanted, given),
    "ArnLike": lambda wanted, given: matches(wanted, given),
    "Bool": lambda wanted, given: wanted.lower() == given.lower(),
    "NumericLessThan": lambda wanted, given: float(given) < float(wanted),
}


def _keys(context: dict[str, str]) -> dict[str, str]:
    """Context keys by the names of Python's arguments: `via` and so on."""
    names = {
        "via": "kms:ViaService",
        "secret": "kms:EncryptionContext:SecretARN",
        "bucket": "kms:EncryptionContext:aws:s3:arn",
        "rotated_by": "secretsmanager:resource/AllowRotationLambdaArn",
    }
    return {names[name]: value for name, value in context.items()}
