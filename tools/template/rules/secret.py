"""Rules about the secrets: who makes them, who rotates them, who reads them.

A secret is either a login, which is rotated, or the key of redaction, which never is: another key would be another identity.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from documents import Value
from evaluate import ROOT
from graph import Resources, identity_statements, key, of_type, variables


def secrets_are_rotated_by_us(resources: Resources) -> Iterator[str]:
    """Every login of ours is rotated by our function within 30 days, in every variant, and the key of redaction never."""
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
        rotated = any(key(schedule.get("SecretId")) in known for schedule in schedules.values())
        if rotated == (name in identity_secrets(resources)):
            yield f"{name} is rotated, and would be another identity" if rotated else f"{name} is never rotated"


def secrets_are_generated(resources: Resources) -> Iterator[str]:
    """No secret has a value in the template; a password has 32 characters, the key of redaction 64, and each a key of ours."""
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret"):
        generated = secret.get("GenerateSecretString", {})
        if "SecretString" in secret:
            yield f"{name} has its value in the template"
        if name in identity_secrets(resources):
            if generated.get("PasswordLength") != 64 or "GenerateStringKey" in generated or "ReplicaRegions" in secret:
                yield f"{name} is no text of 64 characters, or has a copy"
        elif generated.get("PasswordLength") != 32 or generated.get("GenerateStringKey") != "password":
            yield f"{name} has no password of 32 characters"
        if "KmsKeyId" not in secret:
            yield f"{name} is not under our key"
        for copy in (secret["ReplicaRegions"] or [{}]) if "ReplicaRegions" in secret else []:
            region = re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", str(copy.get("Region")))
            if not region or not re.match(r"alias/|arn:", str(copy.get("KmsKeyId"))):
                yield f"{name} has a copy without region or key"


def generated_secret_is_as_remembered(resources: Resources) -> Iterator[str]:
    """GenerateSecretString never changes: on a living stack that would make a password that the database does not have, or a key
    by which nothing that was redacted before is found again."""
    remembered = json.loads((ROOT / "tools/template/generate-secret-string.json").read_text(encoding="utf-8"))
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret"):
        generated = dict(secret.get("GenerateSecretString", {}))
        # The one part that only a deployment knows: a stack keeps its cluster, and so the master's secret.
        if template := generated.get("SecretStringTemplate"):
            separator, parts = template["Fn::Join"] if isinstance(template, dict) else ("", [template])
            generated["SecretStringTemplate"] = separator.join(part if isinstance(part, str) else "MASTER" for part in parts)
            generated["SecretStringTemplate"] = re.sub(r"arn:[^\"]+", "MASTER", generated["SecretStringTemplate"])
        if generated != remembered.get(name):
            yield f"{name}: GenerateSecretString has changed; read what stack/secret.yaml and stack/data.yaml say about it"


def password_rules_agree(resources: Resources) -> Iterator[str]:
    """The first password and those of the rotation follow the same rules."""
    functions = [variables(function) for _, function in of_type(resources, "AWS::Lambda::Function")]
    rotation = next((one for one in functions if "ROTATION_STRATEGY" in one), {})
    for name, secret in of_type(resources, "AWS::SecretsManager::Secret"):
        if name in identity_secrets(resources):
            continue
        generated = secret.get("GenerateSecretString", {})
        if generated.get("ExcludeCharacters") != rotation.get("EXCLUDE_CHARACTERS"):
            yield f"{name}: ExcludeCharacters is not the function's EXCLUDE_CHARACTERS"
        if str(generated.get("PasswordLength")) != rotation.get("PASSWORD_LENGTH"):
            yield f"{name}: PasswordLength is not the function's PASSWORD_LENGTH"


def only_the_functions_read_secrets(resources: Resources) -> Iterator[str]:
    """Capture reads the application's secret and with redaction its key, rotation the application's and the master's: what the
    environment of each names. No other role reads any."""
    expected: set[tuple[str, str]] = set()
    masters = 0
    keys = 0
    for _, function in of_type(resources, "AWS::Lambda::Function"):
        role = function["Role"]["Fn::GetAtt"][0]
        own = variables(function)
        masters += bool(own.get("BOOTSTRAP_SECRET"))
        keys += bool(own.get("IDENTITY_KEY_SECRET"))
        if "CONVERSATIONS_BUCKET" in own and bool(own.get("IDENTITY_KEY_SECRET")) != redacts(own):
            yield "redaction is without its key, or the key without redaction"
        named = [own.get("TURNKEEP_SECRET"), own.get("BOOTSTRAP_SECRET"), own.get("IDENTITY_KEY_SECRET")]
        expected |= {(role, key(secret)) for secret in named if secret}
    if masters > 1:
        yield "more than one function has the master's secret"
    if keys > 1:
        yield "more than one function has the key of redaction"
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


def identity_secrets(resources: Resources) -> set[str]:
    """The secret of ours that has the key of redaction, by its name in the stack; none without redaction."""
    named = [variables(function).get("IDENTITY_KEY_SECRET") for _, function in of_type(resources, "AWS::Lambda::Function")]
    return {one["Ref"] for one in named if isinstance(one, dict)}


def redacts(own: dict[str, Value]) -> bool:
    """Whether capture's environment switches redaction on: by a word, or by a policy as JSON."""
    policy = str(own.get("REDACTION"))
    return policy in ("mask", "hash", "drop") or policy.startswith("{")


RULES = (
    secrets_are_rotated_by_us,
    secrets_are_generated,
    generated_secret_is_as_remembered,
    password_rules_agree,
    only_the_functions_read_secrets,
)
