"""Rules about single settings that carry a promise, and about what has to be there before something else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from documents import Value
from evaluate import TemplateError
from graph import Resources, depends_on, key, of_type, variables
from policy import named, text

TABLE = json.loads((Path(__file__).resolve().parents[1] / "settings.json").read_text(encoding="utf-8"))
# Resources of which only a stage with everything in it has all: a rule of theirs speaks where they are.
ALWAYS = (
    "AccessLogBucket", "Alerts", "Budget", "CaptureFunction", "CaptureQueue", "ConversationBus", "ConversationRule", "ConversationsBucket",
    "ClusterEvents", "DailyAudit", "DataKeyAlias", "Drifted", "InstanceEvents", "ParameterEvents", "RotationFailed", "RotationFunction",
    "SecretTampering", "SecretsKeyAlias", "SecurityGroupEvents", "UnexpectedReader",
)  # fmt: skip
# What comes with what: where the first is, the second has to be.
COMPANIONS = {
    "Vpc": ("FlowLog", "DataAcl", "CloseDefaultGroupInward", "CloseDefaultGroupOutward"),
    "Cluster": ("Writer", "ClusterParameters", "InstanceParameters", "DatabaseLogs"),
    "BackupVault": ("DailyBackup", "BackupSelection", "Standby"),
    "TrailBucket": ("AuditTrail", "TrailBucketPolicy", "TrailLogs", "TrailPolicy"),
    "AuditTrail": ("TrailBucket",),
    "ApplicationSecret": ("ApplicationSecretAddress", "SecretPolicy"),
    "IdentitySecret": ("IdentitySecretPolicy", "IdentityKeyTouched"),
    "EndpointSecurityGroup": ("SecretsManagerEndpoint", "S3Endpoint"),
    "Standby": ("Graphs",),
    "DailyBackup": ("BackupVault", "BackupSelection", "Graphs"),
}


def settings_are_kept(resources: Resources) -> Iterator[str]:
    """Each setting of settings.json has its value, with the reason beside it."""
    for name in ALWAYS:
        if name not in resources:
            yield f"there is no {name}"
    for one in TABLE:
        if one.get("with", next(iter(resources))) not in resources:
            continue
        about = of_type(resources, one["type"]) if "type" in one else (
            (name, resources[name].get("Properties", {})) for name in one["names"] if name in resources
        )  # fmt: skip
        for name, properties in about:
            for path, wanted in one["set"].items():
                found = _at(properties, path)
                if not _is_kept(found, wanted, resources):
                    yield f"{name}: {path} is {found}, not {wanted}: {one['why']}"


def nothing_comes_too_early(resources: Resources) -> Iterator[str]:
    """What would fail, or be born without key or rights, waits: functions, schedules, the cluster, its instances, the trail."""
    waits = {
        "AWS::Lambda::Function": lambda name, one: _policies(resources, one["Role"]),
        "AWS::Scheduler::Schedule": lambda name, one: _policies(resources, one["Target"]["RoleArn"]),
        "AWS::EC2::FlowLog": lambda name, one: _policies(resources, one["DeliverLogsPermissionArn"]),
        "AWS::RDS::DBInstance": lambda name, one: _policies(resources, one["MonitoringRoleArn"]),
        "AWS::RDS::DBCluster": lambda name, one: [
            group for group, properties in of_type(resources, "AWS::Logs::LogGroup")
            if text(properties["LogGroupName"]).startswith(f"/aws/rds/cluster/{text(one['DBClusterIdentifier'])}/")
        ],
        "AWS::CloudTrail::Trail": lambda name, one: [
            policy for policy, properties in of_type(resources, "AWS::S3::BucketPolicy") if key(properties["Bucket"]) == key(one["S3BucketName"])
        ] + _policies(resources, one["CloudWatchLogsRoleArn"]),
        "AWS::SecretsManager::RotationSchedule": lambda name, one: [
            permission for permission, _ in of_type(resources, "AWS::Lambda::Permission")
        ],
    }  # fmt: skip
    for kind, needed in waits.items():
        for name, properties in of_type(resources, kind):
            wanted = needed(name, properties)
            if not wanted or not set(wanted) <= set(depends_on(resources[name])):
                yield f"{name} does not wait for {' and '.join(wanted) or 'what it needs'}"


def what_belongs_together_is_there(resources: Resources) -> Iterator[str]:
    """A resource that is useless or dangerous alone has its companions, and two of a kind are in two zones."""
    for name, companions in COMPANIONS.items():
        for companion in companions if name in resources else ():
            if companion not in resources:
                yield f"{name} is without {companion}"
    for name, cluster in of_type(resources, "AWS::RDS::DBCluster"):
        for function, one in of_type(resources, "AWS::Lambda::Function"):
            if text(variables(one).get("DB_PORT", "")) != text(cluster.get("Port", "")):
                yield f"{function} calls another port than that of {name}"
        wanted = f"{text(cluster['Engine'])}{text(cluster['EngineVersion']).split('.')[0]}"
        for group, one in of_type(resources, "AWS::RDS::DBClusterParameterGroup", "AWS::RDS::DBParameterGroup"):
            if one["Family"] != wanted:
                yield f"{group} is of {one['Family']}, and {name} of {wanted}"
    stacks = {text(one) for one in _stacks(resources)}
    detected = {
        json.loads(text(schedule["Target"].get("Input", "{}"))).get("StackName")
        for _, schedule in of_type(resources, "AWS::Scheduler::Schedule")
        if "detectStackDrift" in text(schedule["Target"]["Arn"])
    }
    for stack in sorted(stacks ^ (detected - {None})):
        yield f"drift of {stack} is {'told, and not looked for' if stack in stacks else 'looked for, and not told'}"


RULES = (settings_are_kept, nothing_comes_too_early, what_belongs_together_is_there)


def _stacks(resources: Resources) -> list[Value]:
    """The layers whose drift is told."""
    for _, rule in of_type(resources, "AWS::Events::Rule"):
        if "DRIFTED" in key(rule.get("EventPattern")):
            return list(rule["EventPattern"]["detail"]["stack-id"])
    return []


def _policies(resources: Resources, role: Value) -> list[str]:
    return [
        policy
        for policy, properties in of_type(resources, "AWS::IAM::ManagedPolicy")
        if named(text(role)) in [named(text(one)) for one in properties.get("Roles", [])]
    ]


def _at(value: Value, path: str) -> Value:
    for part in path.split("/"):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return None
    return value


def _is_kept(found: Value, wanted: Any, resources: Resources) -> bool:
    if isinstance(wanted, dict):
        if found is None:
            return "or" in wanted
        return isinstance(found, (int, float, str)) and wanted["from"] <= float(found) <= wanted["to"]
    if wanted is None or found is None:
        return found is wanted
    if found == wanted:
        return True
    try:
        given = text(found)
    except TemplateError:
        return False
    if given == text(wanted):
        return True
    # What the stack does not make is named by a parameter.
    return isinstance(wanted, str) and wanted.startswith("<") and named(wanted) not in resources and given != "elsewhere"
