"""What the functions of a deployed stack are told, for the tests that run them: crates/local/src/stack/template.rs.

What only a deployment knows stands in angle brackets, as in `policy.text`; so do the parameters that say where a database is.

    functions.py write    writes the file
    functions.py check    compares it with the template
"""

from __future__ import annotations

import json
import sys
from typing import Any

import sources
from documents import Value
from evaluate import ROOT, TemplateError, evaluate, variants
from graph import Resources, of_type, variables
from policy import text

FILE = ROOT / "crates/local/src/stack/functions.json"
# By how much is there before the stack: nothing, or a cluster and a secret.
DEPLOYMENTS = {"new": "prod", "existing": "secret"}
# Here they are those of the test's own server.
PLACES = ("DatabasePort", "DatabaseName", "ExistingClusterHost", "ExistingSecretArn")
# What is taken out of events, and with which key, is told by the tests that look at it.
REDACTION = ("Redaction", "ExistingIdentitySecretArn", "ExistingIdentitySecretKeyArn")


def document() -> dict[str, Any]:
    """What the template says of the functions, and of the queue and the secret that they begin with."""
    stacks = {name: evaluate(_without_places(variants()[variant]))["Resources"] for name, variant in DEPLOYMENTS.items()}
    new = stacks["new"]
    return {
        "functions": {name: functions(resources) for name, resources in stacks.items()},
        "queue": _queue(new),
        "reachable": sorted(text(one["ServiceName"]).split(".")[-1] for _, one in of_type(new, "AWS::EC2::VPCEndpoint")),
        "secret": _secret(new),
    }


def functions(resources: Resources) -> dict[str, Any]:
    """Variables, seconds, megabytes and log of each function, by the name of its binary."""
    found = {}
    for _, function in of_type(resources, "AWS::Lambda::Function"):
        logging = function["LoggingConfig"]
        found[_binary(function)] = {
            "log_format": logging["LogFormat"],
            "log_level": logging["ApplicationLogLevel"],
            "memory": function["MemorySize"],
            "timeout": function["Timeout"],
            "variables": {name: text(value) for name, value in variables(function).items()},
        }
    return found


def written() -> str:
    """The file as it is to be."""
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


def _without_places(parameters: dict[str, Value]) -> dict[str, Value]:
    """The parameters with references in place of what says where a database is."""
    given = set(parameters) | {"DatabasePort", "DatabaseName"}
    kept = {name: value for name, value in parameters.items() if name not in REDACTION}
    return {**kept, **{name: {"Ref": name} for name in PLACES if name in given}}


def _binary(function: Value) -> str:
    name = text(function["FunctionName"])
    found = [binary for binary in sources.FUNCTIONS if name.endswith(binary)]
    if len(found) != 1:
        raise TemplateError(f"{name} is no function of ours")
    return found[0]


def _queue(resources: Resources) -> dict[str, Any]:
    """How often, and how far apart, a capture is tried that fails."""
    ((_, mapping),) = of_type(resources, "AWS::Lambda::EventSourceMapping")
    queue = resources[mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
    return {
        "batch_size": mapping["BatchSize"],
        "max_receive_count": queue["RedrivePolicy"]["maxReceiveCount"],
        "reports_items": mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"],
        "visibility_timeout": queue["VisibilityTimeout"],
    }


def _secret(resources: Resources) -> dict[str, Any]:
    """The application's secret before its first rotation, without its password and what the attachment adds."""
    ((_, secret),) = of_type(resources, "AWS::SecretsManager::Secret")
    return json.loads(text(secret["GenerateSecretString"]["SecretStringTemplate"]))


def main(arguments: list[str]) -> int:
    """Writes or checks the file."""
    if arguments == ["write"]:
        FILE.write_text(written(), encoding="utf-8")
        return 0
    if FILE.read_text(encoding="utf-8") != written():
        print(f"{FILE.relative_to(ROOT)} is not what the template tells the functions: make docs-template", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
