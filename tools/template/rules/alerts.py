"""Rules about who is told of what."""

from __future__ import annotations

import json
from collections.abc import Iterator

from evaluate import ROOT
from graph import Resources, key, key_statements, of_type, statements


def alerts_arrive(resources: Resources) -> Iterator[str]:
    """Alarms, rules, RDS events and budgets reach the topic through its policy and through its key's."""
    needed = {
        "AWS::CloudWatch::Alarm": "cloudwatch.amazonaws.com",
        "AWS::Events::Rule": "events.amazonaws.com",
        "AWS::RDS::EventSubscription": "events.rds.amazonaws.com",
        "AWS::Budgets::Budget": "budgets.amazonaws.com",
    }
    for topic, properties in of_type(resources, "AWS::SNS::Topic"):
        at_topic = [
            statement
            for _, policy in of_type(resources, "AWS::SNS::TopicPolicy")
            if {"Ref": topic} in policy["Topics"]
            for statement in statements(policy["PolicyDocument"], topic)
        ]
        at_key = list(key_statements(resources, properties["KmsMasterKeyId"]))
        for kind, service in needed.items():
            senders = [name for name, one in of_type(resources, kind) if key({"Ref": topic}) in key(one)]
            if not senders and kind != "AWS::Events::Rule":
                yield f"no {kind} tells {topic}"
            if not any(service in one.services() and one.allows("sns:Publish") for one in at_topic):
                yield f"{topic}: its policy refuses {service}"
            allowed = [one for one in at_key if service in one.services() and one.allows("kms:GenerateDataKey")]
            if service == "events.amazonaws.com":
                # EventBridge sends neither of them to an encrypted topic.
                allowed = [one for one in allowed if "aws:Source" not in key(one.condition)]
            if not any(one.allows("kms:Decrypt") for one in allowed):
                yield f"{topic}: its key refuses {service}"
        for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm"):
            if {"Ref": topic} not in alarm.get("AlarmActions", []):
                yield f"{name} tells nobody"
        for name, rule in of_type(resources, "AWS::Events::Rule"):
            for target in rule["Targets"]:
                if "DeadLetterConfig" not in target:
                    yield f"{name} loses what cannot be delivered"


def the_secret_is_watched(resources: Resources) -> Iterator[str]:
    """A rotation that fails, a secret that is changed or read by others, and a stack that drifts are told."""
    patterns = [key(rule.get("EventPattern")) for _, rule in of_type(resources, "AWS::Events::Rule")]
    for event in ("RotationFailed", "RotationAbandoned", "PutResourcePolicy", "CancelRotateSecret", "GetSecretValue", "DRIFTED"):
        if not any(f'"{event}"' in pattern for pattern in patterns):
            yield f"nobody hears of {event}"
    for name, rule in of_type(resources, "AWS::Events::Rule"):
        reads = '"GetSecretValue"' in key(rule.get("EventPattern"))
        if reads and rule.get("State") != "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS":
            yield f"{name}: reads are not delivered to it"
    sample = json.loads((ROOT / "events/rotation-audit.json").read_text(encoding="utf-8"))
    audits = [
        schedule
        for _, schedule in of_type(resources, "AWS::Scheduler::Schedule")
        if schedule["ScheduleExpression"] == "rate(1 day)"
        and schedule["Target"].get("Input") == json.dumps(sample)
    ]
    if len(audits) != 1:
        yield "the audit does not run once a day"
    ages = [alarm for _, alarm in of_type(resources, "AWS::CloudWatch::Alarm") if alarm.get("MetricName") == "SecretAgeDays"]
    for _, schedule in of_type(resources, "AWS::SecretsManager::RotationSchedule"):
        wanted = f"rate({ages[0]['Threshold']} days)" if ages else ""
        if schedule["RotationRules"]["ScheduleExpression"] != wanted or ages[0]["TreatMissingData"] != "breaching":
            yield "no alarm knows that a rotation did not come"


RULES = (
    alerts_arrive,
    the_secret_is_watched,
)
