"""Rules about what EventBridge hears: each pattern against recorded events that it must take and others that it must leave."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from documents import Value
from event_pattern import PatternError, matches
from evaluate import PSEUDO
from graph import Resources, as_list, of_type, statements, variables
from policy import named, text

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
LEAST = 3


def rules_hear_what_they_should(resources: Resources) -> Iterator[str]:
    """Each rule takes all of its matching sample events and none of the others, of which there are three at least."""
    rules = dict(of_type(resources, "AWS::Events::Rule"))
    words = _words(resources)
    known = _said(tuple(sorted(words.items())))
    for name in sorted(set(rules) ^ set(known)):
        yield f"{name} has no sample events" if name in rules else f"no rule is called {name}, whose events nobody hears"
    for name, rule in rules.items():
        pattern = _filled(rule.get("EventPattern", {}), words)
        for kind, cases in known.get(name, {}).items():
            if len(cases) < LEAST:
                yield f"{name} has {len(cases)} {kind} events only"
            for case in cases:
                try:
                    taken = matches(pattern, case["event"])
                except PatternError as error:
                    yield f"{name}: {error}"
                    break
                if taken != (kind == "matching"):
                    yield f"{name} {'takes' if taken else 'misses'}: {case['why']}"


RULES = (rules_hear_what_they_should,)


@cache
def samples() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The sample events of each rule, by the rule's name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(SAMPLES.glob("*.json"))}


@cache
def _said(pairs: tuple[tuple[str, str], ...]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The sample events with their words filled in, without those that need a word that is not there."""
    words = dict(pairs)
    said = {
        name: {
            kind: [{"why": case["why"], "event": _filled(case["event"], words)} for case in cases if case.get("needs") in (None, *words)]
            for kind, cases in kinds.items()
        }
        for name, kinds in samples().items()
    }
    # A rule all of whose events need such a word is for other variants, too.
    return {name: kinds for name, kinds in said.items() if any(kinds.values())}


def _words(resources: Resources) -> dict[str, str]:
    """What stands for `${word}` in a sample event; a sample that needs a word that is not there is for other variants."""
    words = {"administrator": f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:role/administrator"}
    for _, function in of_type(resources, "AWS::Lambda::Function"):
        own = variables(function)
        rotates = "ROTATION_STRATEGY" in own
        words["rotation_role" if rotates else "capture_role"] = text(function.get("Role", ""))
        if rotates and own.get("BOOTSTRAP_SECRET"):
            words["master"] = text(own["BOOTSTRAP_SECRET"])
        words["secret"] = text(own.get("TURNKEEP_SECRET", ""))
        if own.get("IDENTITY_KEY_SECRET"):
            identity = text(own["IDENTITY_KEY_SECRET"])
            known = resources.get(named(identity), {}).get("Properties", {}).get("Name", "")
            words["identity_name"] = known or identity.split(":")[-1]
            words["identity"] = _arn_of_secret(known) if known else identity
    for _, policy in of_type(resources, "AWS::SecretsManager::ResourcePolicy"):
        for statement in statements(policy["ResourcePolicy"], ""):
            if statement.effect == "Allow":
                words["consumer"] = text(as_list(statement.principals["AWS"])[0])
    secret = words.get("secret", "")
    attachment = resources.get(named(secret), {}).get("Properties", {})
    own_secret = resources.get(named(text(attachment.get("SecretId", ""))), {}).get("Properties", {})
    if own_secret:
        words["own_secret"] = words["secret_name"] = text(own_secret["Name"])
        words["<secret>"] = secret
        words["secret"] = _arn_of_secret(own_secret["Name"])
    else:
        # A name has no random end; the rule makes do with as much as it knows.
        words["secret_name"] = secret.split(":")[-1]
    for word, kind in (("network", "AWS::EC2::VPC"), ("database", "AWS::RDS::DBCluster")):
        for name, _ in of_type(resources, kind):
            words[word] = name
    return words


def _arn_of_secret(name: str) -> str:
    return f"arn:aws:secretsmanager:{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}:secret:{name}-AbCdEf"


def _filled(value: Value, words: dict[str, str]) -> Value:
    if isinstance(value, list):
        return [_filled(part, words) for part in value]
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Join"):
            known = text(value)
            return known.replace(words.get("<secret>", known), words["secret"]) if "<secret>" in words else known
        return {key: _filled(part, words) for key, part in value.items()}
    if isinstance(value, str) and "${" in value:
        return re.sub(r"\$\{(\w+)\}", lambda found: words[found[1]], value)
    return value
