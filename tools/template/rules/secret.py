"""Rules about the secrets: who makes them, who rotates them, who reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from evaluate import ROOT
from graph import Resources, identity_statements, key, of_type, variables


def secrets_are_rotated_by_us(resources: Resources) -> Iterator[str]:
    """Every secret of ours is rotated by our function within 30 days, in every variant."""
    schedules = dict(of_type(resources, "AWS::SecretsManager::RotationSchedule"))
    if not schedules:
        yield "no secret is rotated"
    for name, schedule in schedules.items():
        period = re.fullmatch(r"rate\((\d+) days?\)", str(schedule.get("RotationRules", {}).get("ScheduleExpression")))
        if not period or not 1 <= int(period[1]) <= 30:
            yield f"{name} is not every 30 days or more often"
        if "HostedRotationLambda" in schedule or "RotationLambdaARN" not in schedule:
            yield f"{name} is not by our function"
    for name, _ in of_type(resources, "AWS::SecretsManager::Secret"):
        attached = [
            attachment
            for attachment, properties in of_type(resources, "AWS::SecretsManager::SecretTargetAttachment")
            if properties["SecretId"] == {"Ref": name}
        ]
        known = [key({"Ref": one}) for one in [name, *attached]]
        if not any(key(schedule.get("SecretId")) in known for schedule in schedules.values()):
            yield f"{name} is never rotated"


def secrets_are_generated(resources: Resources) -> Iterator[str]:
    """No secret has a value in the template; its password has 32 characters and a key of ours."""
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret"):
        generated = secret.get("GenerateSecretString", {})
        if "SecretString" in secret:
            yield f"{name} has its value in the template"
        if generated.get("PasswordLength") != 32 or generated.get("GenerateStringKey") != "password":
            yield f"{name} has no password of 32 characters"
        if "KmsKeyId" not in secret:
            yield f"{name} is not under our key"
        for copy in (secret["ReplicaRegions"] or [{}]) if "ReplicaRegions" in secret else []:
            region = re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", str(copy.get("Region")))
            if not region or not re.match(r"alias/|arn:", str(copy.get("KmsKeyId"))):
                yield f"{name} has a copy without region or key"


def generated_secret_is_as_remembered(resources: Resources) -> Iterator[str]:
    """GenerateSecretString never changes: on a living stack that would make a password that the database does not have."""
    remembered = json.loads((ROOT / "tools/template/generate-secret-string.json").read_text(encoding="utf-8"))
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret"):
        generated = dict(secret.get("GenerateSecretString", {}))
        # The one part that only a deployment knows: a stack keeps its cluster, and so the master's secret.
        template = generated.get("SecretStringTemplate")
        separator, parts = template["Fn::Join"] if isinstance(template, dict) else ("", [template])
        generated["SecretStringTemplate"] = separator.join(part if isinstance(part, str) else "MASTER" for part in parts)
        generated["SecretStringTemplate"] = re.sub(r"arn:[^\"]+", "MASTER", generated["SecretStringTemplate"])
        if generated != remembered:
            yield f"{name}: GenerateSecretString has changed; read what stack/secret.yaml says about it"


def password_rules_agree(resources: Resources) -> Iterator[str]:
    """The first password and those of the rotation follow the same rules."""
    functions = [variables(function) for _, function in of_type(resources, "AWS::Lambda::Function")]
    rotation = next((one for one in functions if "ROTATION_STRATEGY" in one), {})
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret"):
        generated = secret.get("GenerateSecretString", {})
        if generated.get("ExcludeCharacters") != rotation.get("EXCLUDE_CHARACTERS"):
            yield f"{name}: ExcludeCharacters is not the function's EXCLUDE_CHARACTERS"
        if str(generated.get("PasswordLength")) != rotation.get("PASSWORD_LENGTH"):
            yield f"{name}: PasswordLength is not the function's PASSWORD_LENGTH"


def only_the_functions_read_secrets(resources: Resources) -> Iterator[str]:
    """Each function reads the secrets that its environment names, and no other role reads any."""
    expected: set[tuple[str, str]] = set()
    masters = 0
    for _, function in of_type(resources, "AWS::Lambda::Function"):
        role = function["Role"]["Fn::GetAtt"][0]
        own = variables(function)
        masters += bool(own.get("BOOTSTRAP_SECRET"))
        named = [own.get("TURNKEEP_SECRET"), own.get("BOOTSTRAP_SECRET")]
        expected |= {(role, key(secret)) for secret in named if secret}
    if masters > 1:
        yield "more than one function has the master's secret"
    found = {
        (statement.owner, key(resource))
        for statement in identity_statements(resources)
        if statement.allows("secretsmanager:GetSecretValue")
        for resource in statement.resources
    }
    for role, secret in sorted(found - expected):
        yield f"{role} may read {secret}"
    for role, secret in sorted(expected - found):
        yield f"{role} may not read {secret}"


RULES = (
    secrets_are_rotated_by_us,
    secrets_are_generated,
    generated_secret_is_as_remembered,
    password_rules_agree,
    only_the_functions_read_secrets,
)
