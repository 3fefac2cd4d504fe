"""What a stack costs, line by line, from the evaluated template and the dated prices of prices.json.

    cost.py write       writes docs/cost.md
    cost.py check       fails if that page, a price's age or an idle stack is not as it should be
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import sources
from evaluate import ROOT, evaluate, variants
from graph import Resources, as_list, of_type, variables

PAGE = ROOT / "docs/cost.md"
PRICES = json.loads(Path(__file__).with_name("prices.json").read_text(encoding="utf-8"))["prices"]
OLDEST = datetime.timedelta(days=180)
GOALS = {"dev": 11.0, "prod": 20.0}
SHOWN = ("dev", "prod", "always-on")
HOURS = 730
# Lambda asks an idle queue five times at once, for twenty seconds each.
POLLS = 5 * 3 * 60 * HOURS
# The audit asks twice a day, a rotation sixteen times.
IDLE_SECRET_CALLS = 60 + 16
# One hour a day of the audit, and one of a rotation.
IDLE_METRIC_HOURS = 31


class Line(NamedTuple):
    """One line of a bill."""

    what: str
    formula: str
    usd: float


class Counts(NamedTuple):
    """What of a stack is paid for."""

    secrets: int
    keys: int
    endpoint_zones: int
    instances: int
    least_acu: float
    alarm_metrics: int
    dashboards: int
    rotation_metrics: int
    capture_metrics: int
    memory_gb: float
    trail: bool
    extra_backup_days: int

    @classmethod
    def of(cls, resources: Resources) -> Counts:
        """Counts the resources of an evaluated stack."""
        clusters = [cluster for _, cluster in of_type(resources, "AWS::RDS::DBCluster")]
        secrets = [secret for _, secret in of_type(resources, "AWS::SecretsManager::Secret")]
        alarms = [alarm for _, alarm in of_type(resources, "AWS::CloudWatch::Alarm")]
        functions = [function for _, function in of_type(resources, "AWS::Lambda::Function")]
        endpoints = [one for _, one in of_type(resources, "AWS::EC2::VPCEndpoint") if one["VpcEndpointType"] == "Interface"]
        metrics = sources.metrics()
        backups = [plan for _, plan in of_type(resources, "AWS::Backup::BackupPlan")]
        kept = [
            rule["Lifecycle"]["DeleteAfterDays"] - int(clusters[0]["BackupRetentionPeriod"])
            for plan in backups
            for rule in plan["BackupPlan"]["BackupPlanRule"]
        ]
        return cls(
            secrets=len(secrets)
            + sum(len(secret.get("ReplicaRegions", [])) for secret in secrets)
            + sum(cluster.get("ManageMasterUserPassword") is True for cluster in clusters),
            keys=len(list(of_type(resources, "AWS::KMS::Key"))),
            endpoint_zones=sum(len(as_list(one["SubnetIds"])) for one in endpoints),
            instances=len(list(of_type(resources, "AWS::RDS::DBInstance"))),
            least_acu=float(clusters[0]["ServerlessV2ScalingConfiguration"]["MinCapacity"]) if clusters else 0.0,
            alarm_metrics=sum(
                sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1 for alarm in alarms
            ),
            dashboards=len(list(of_type(resources, "AWS::CloudWatch::Dashboard"))),
            rotation_metrics=len(metrics["secret-rotation"]),
            capture_metrics=len(metrics["conversation-capture"]),
            memory_gb=next(one["MemorySize"] for one in functions if "CONVERSATIONS_BUCKET" in variables(one)) / 1024,
            trail=any(True for _ in of_type(resources, "AWS::CloudTrail::Trail")),
            extra_backup_days=sum(kept),
        )


class Traffic(NamedTuple):
    """A month's work, as an assumption that a reader can change."""

    conversations: int = 100_000
    seconds: float = 0.2
    hours: int = 60
    acu: float = 1.0
    database_gb: float = 10.0
    database_io_millions: float = 5.0
    object_gb: float = 0.3
    log_gb: float = 3.0
    environments: int = 10


def price(name: str) -> float:
    """A price in US dollars, for one of its unit."""
    return float(PRICES[name]["usd"])


def beyond(quantity: float, free: float) -> float:
    """What of a quantity is paid for."""
    return max(0.0, quantity - free)


def idle(counts: Counts, free: bool = True) -> list[Line]:
    """A month without a conversation, the database paused where it may pause."""
    tier = 1.0 if free else 0.0
    return [
        Line("Secrets", f"{price('secret'):.2f} × {counts.secrets}", price("secret") * counts.secrets),
        Line("Calls of Secrets Manager", f"{price('secret_calls'):.2f} / 10,000 × {IDLE_SECRET_CALLS}", price("secret_calls") / 10_000 * IDLE_SECRET_CALLS),
        Line("Keys, in their first year", f"{price('key'):.2f} × {counts.keys}", price("key") * counts.keys),
        Line("Endpoint of Secrets Manager", f"{price('endpoint'):.2f} × {HOURS} h × {counts.endpoint_zones} zones", price("endpoint") * HOURS * counts.endpoint_zones),
        Line("Database", f"{price('acu'):.2f} × {HOURS} h × {counts.least_acu:g} ACU × {counts.instances}", price("acu") * HOURS * counts.least_acu * counts.instances),
        Line("Alarms", f"{price('alarm'):.2f} × ({counts.alarm_metrics} − {10 * tier:g} free)", price("alarm") * beyond(counts.alarm_metrics, 10 * tier)),
        Line("Metrics of the daily audit", f"{price('metric'):.2f} × ({counts.rotation_metrics} − {10 * tier:g} free) × {IDLE_METRIC_HOURS} h / {HOURS} h", price("metric") * beyond(counts.rotation_metrics, 10 * tier) * IDLE_METRIC_HOURS / HOURS),
        Line("Dashboard", f"{price('dashboard'):.2f} × ({counts.dashboards} − {3 * tier:g} free)", price("dashboard") * beyond(counts.dashboards, 3 * tier)),
        Line("Lambda looking into the queue", f"{price('queue'):.2f} / million × ({POLLS:,} − {1_000_000 * tier:,.0f} free)", price("queue") / 1e6 * beyond(POLLS, 1_000_000 * tier)),
    ]  # fmt: skip


def busy(counts: Counts, traffic: Traffic) -> list[Line]:
    """What a month's conversations add."""
    n, h = traffic.conversations, traffic.hours
    return [
        Line("Lambda", f"{n:,} × ({price('compute')} × {counts.memory_gb:g} GB × {traffic.seconds:g} s + {price('invocation'):.7f})", n * (price("compute") * counts.memory_gb * traffic.seconds + price("invocation"))),
        Line("Queue", f"{price('queue'):.2f} / million × 3 × {n:,}", price("queue") / 1e6 * 3 * n),
        Line("Event bus, if it is used", f"{price('event'):.2f} / million × {n:,}", price("event") / 1e6 * n),
        Line("Archive", f"{price('object_put'):.6f} × {n:,} + {price('object_storage')} × {traffic.object_gb:g} GB", price("object_put") * n + price("object_storage") * traffic.object_gb),
        Line("Data events of the trail", f"{price('trail_data_event'):.6f} × 2 × {n:,}" if counts.trail else "no trail", price("trail_data_event") * 2 * n if counts.trail else 0.0),
        Line("Database while it is awake", f"{price('acu'):.2f} × {h} h × {beyond(traffic.acu, counts.least_acu):g} ACU × {counts.instances}", price("acu") * h * beyond(traffic.acu, counts.least_acu) * counts.instances),
        Line("Database storage", f"{price('database_storage'):.2f} × {traffic.database_gb:g} GB + {price('database_io'):.2f} × {traffic.database_io_millions:g} million", price("database_storage") * traffic.database_gb + price("database_io") * traffic.database_io_millions),
        Line("Copies of the database", f"{price('backup_storage')} × {traffic.database_gb:g} GB × {counts.extra_backup_days} days", price("backup_storage") * traffic.database_gb * counts.extra_backup_days),
        Line("Logs", f"({price('log'):.2f} + {price('log_storage'):.2f}) × {traffic.log_gb:g} GB", (price("log") + price("log_storage")) * traffic.log_gb),
        Line("Metrics of capture", f"{price('metric'):.2f} × {counts.capture_metrics} × {h} h / {HOURS} h", price("metric") * counts.capture_metrics * h / HOURS),
        Line("Calls of Secrets Manager", f"{price('secret_calls'):.2f} / 10,000 × {h} h × {traffic.environments} environments", price("secret_calls") / 10_000 * h * traffic.environments),
    ]  # fmt: skip


def total(lines: list[Line]) -> float:
    """The sum of a bill."""
    return sum(line.usd for line in lines)


def counted() -> dict[str, Counts]:
    """The variants that the page shows."""
    every = variants()
    return {name: Counts.of(evaluate(every[name])["Resources"]) for name in SHOWN}


def page(stacks: dict[str, Counts]) -> str:
    """docs/cost.md."""
    traffic = Traffic()
    redacted = Counts.of(evaluate(variants()["redacted"])["Resources"])
    years = {name: [total(idle(counts)) + price("key") * counts.keys * year for year in range(3)] for name, counts in stacks.items()}
    head = "| | " + " | ".join(f"`{name}`" for name in SHOWN) + " |\n|---|" + "---|" * len(SHOWN) + "\n"
    return f"""# Cost

Generated by `make docs-template` from the evaluated [template](../template.yaml) and the prices of
[prices.json](../tools/template/prices.json); `make check-template` compares. List prices of us-east-1 in US dollars for a month of
{HOURS} hours, without tax. `dev` and `prod` are the stages; `always-on` is prod with `MinCapacity=0.5`, so that nobody waits for a
database that wakes up. Free means the tiers that never end, of an account that uses them for nothing else.

## Idle

{head}{_rows(stacks, idle)}| **Sum** | {" | ".join(f"**{years[name][0]:.2f}**" for name in SHOWN)} |
| in its second year, each key rotated once | {" | ".join(f"{years[name][1]:.2f}" for name in SHOWN)} |
| from its third year on | {" | ".join(f"{years[name][2]:.2f}" for name in SHOWN)} |
| in an account that uses its free tiers up | {" | ".join(f"{total(idle(stacks[name], free=False)):.2f}" for name in SHOWN)} |

The goals are the first sum: {", ".join(f"{name} at most {goal:.2f}" for name, goal in GOALS.items())}; the check fails above them. Half of it and more is
the one interface endpoint, which costs as much for one call as for a million.

`Redaction` adds one secret, the key of its hashes: the first line is {price("secret"):.2f} × {redacted.secrets} then, and the sum of `prod` {total(idle(redacted)):.2f}.

| line | how it is made, for `prod` |
|---|---|
{_formulas(idle(stacks["prod"]))}
## For each {traffic.conversations:,} conversations

Added to the idle month, free tiers left out. Assumed: {traffic.seconds:g} s a capture, the database awake for {traffic.hours} hours at {traffic.acu:g} ACU an instance,
{traffic.database_gb:g} GB and {traffic.database_io_millions:g} million reads and writes in it, {traffic.object_gb:g} GB in the archive, {traffic.log_gb:g} GB of logs. The hours awake decide: a database that somebody
polls all day is awake all day.

{head}{_rows(stacks, lambda counts: busy(counts, traffic))}| **Sum** | {" | ".join(f"**{total(busy(stacks[name], traffic)):.2f}**" for name in SHOWN)} |
| **with the idle month** | {" | ".join(f"**{total(busy(stacks[name], traffic)) + years[name][0]:.2f}**" for name in SHOWN)} |

| line | how it is made, for `prod` |
|---|---|
{_formulas(busy(stacks["prod"], traffic))}
## What a rotated secret costs

"46 cents a month" is often said of one. Rotation has no price: a rotation is 16 calls, and 5 cents pay 10,000.

| | how it is made | a month |
|---|---|---|
| one secret under AWS's own key, 2,000 calls, a network that is there already | {price("secret"):.2f} + 2,000 × {price("secret_calls"):.2f} / 10,000 | {price("secret") + 2_000 * price("secret_calls") / 10_000:.2f} |
| two secrets, the application's and the master's that RDS rotates, likewise | 2 × {price("secret"):.2f} + 2,000 × {price("secret_calls"):.2f} / 10,000 | {2 * price("secret") + 2_000 * price("secret_calls") / 10_000:.2f} |
| as this template has them: two secrets under a key of their own, 10,000 calls | 2 × {price("secret"):.2f} + {price("key"):.2f} + {price("secret_calls"):.2f} | {2 * price("secret") + price("key") + price("secret_calls"):.2f} |
| and the private way to them | {price("endpoint"):.2f} × {HOURS} h for each zone | {price("endpoint") * HOURS:.2f} |

## Not in these sums

A trail beside another one of the account is a second copy, at 2.00 for 100,000 management events: `CreateTrail=false`. Enhanced
monitoring writes to CloudWatch Logs while the database is awake. Logs and objects are kept, so their storage grows with every
month. KMS is called through S3's bucket key, SQS's hour and Lambda's start, below its free calls at this size. Mail by SNS,
EventBridge Scheduler, the budget and drift detection cost nothing at this size.

## Prices

| price | for | from | checked |
|---|---|---|---|
{_prices()}
Each is checked again within {OLDEST.days} days, or `make check-template` fails. *Recalled* means that no page was at hand.
"""


def problems(stacks: dict[str, Counts], today: datetime.date) -> list[str]:
    """Prices that are too old, and idle stacks that cost more than they should."""
    found = [
        f"the price of {name} was checked on {one['checked']}, more than {OLDEST.days} days ago"
        for name, one in PRICES.items()
        if today - datetime.date.fromisoformat(one["checked"]) > OLDEST
    ]
    for name, goal in GOALS.items():
        if (usd := total(idle(stacks[name]))) > goal:
            found.append(f"an idle {name} stack costs {usd:.2f}, more than {goal:.2f}")
    return found


def _rows(stacks: dict[str, Counts], bill: Callable[[Counts], list[Line]]) -> str:
    bills = [bill(stacks[name]) for name in SHOWN]
    return "".join(
        f"| {lines[0].what} | {' | '.join(f'{line.usd:.2f}' for line in lines)} |\n" for lines in zip(*bills, strict=True)
    )


def _formulas(lines: list[Line]) -> str:
    return "".join(f"| {line.what} | {line.formula} |\n" for line in lines)


def _prices() -> str:
    return "".join(
        f"| {one['usd']:.10f}".rstrip("0").rstrip(".") + f" | {one['per']} | {one['source']} | {one['checked']} |\n"
        for one in PRICES.values()
    )


def main(arguments: list[str]) -> int:
    """Writes or checks the page."""
    stacks = counted()
    text = page(stacks)
    if arguments == ["write"]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    found = problems(stacks, datetime.date.today())
    if PAGE.read_text(encoding="utf-8") != text:
        found.append("docs/cost.md is not what the template costs: make docs-template")
    for problem in found:
        print(problem, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
