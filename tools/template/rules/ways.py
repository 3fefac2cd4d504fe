"""Rules about the ways that a capture and a rotation take, each of which has two sides."""

from __future__ import annotations

from collections.abc import Iterator

from graph import Resources, key, of_type, variables


def ways_are_open_on_both_sides(resources: Resources) -> Iterator[str]:
    """Each function may send to the database and to Secrets Manager, each of which admits it, and capture to S3."""
    sends = {
        (key(rule["GroupId"]), key(rule["DestinationSecurityGroupId"]), str(rule["ToPort"]))
        for _, rule in of_type(resources, "AWS::EC2::SecurityGroupEgress")
        if "DestinationSecurityGroupId" in rule
    }
    admits = {
        (key(rule["SourceSecurityGroupId"]), key(rule["GroupId"]), str(rule["ToPort"]))
        for _, rule in of_type(resources, "AWS::EC2::SecurityGroupIngress")
    }
    for sender, receiver, port in sorted(sends ^ admits):
        yield f"{sender} to {receiver}, port {port}, has one side only"
    lists = {
        key(rule["GroupId"])
        for _, rule in of_type(resources, "AWS::EC2::SecurityGroupEgress")
        if "DestinationPrefixListId" in rule
    }
    for name, function in of_type(resources, "AWS::Lambda::Function"):
        groups = {key(group) for group in function.get("VpcConfig", {}).get("SecurityGroupIds", [])}
        for port in (str(variables(function).get("DB_PORT")), "443"):
            if not any(sender in groups and to == port for sender, _, to in sends):
                yield f"{name} cannot send to port {port}"
        if "CONVERSATIONS_BUCKET" in variables(function) and not groups & lists:
            yield f"{name} cannot reach S3"


def subnets_have_routes_and_walls(resources: Resources) -> Iterator[str]:
    """Each subnet of ours has a route table, and those of the database a network ACL that lets both function subnets in and out."""
    routed = {key(one["SubnetId"]) for _, one in of_type(resources, "AWS::EC2::SubnetRouteTableAssociation")}
    walled = {key(one["SubnetId"]) for _, one in of_type(resources, "AWS::EC2::SubnetNetworkAclAssociation")}
    entries = {
        (one["Egress"], key(one["CidrBlock"])) for _, one in of_type(resources, "AWS::EC2::NetworkAclEntry")
    }
    of_database = {
        key(subnet)
        for _, group in of_type(resources, "AWS::RDS::DBSubnetGroup")
        for subnet in group["SubnetIds"]
    }
    for name, _ in of_type(resources, "AWS::EC2::Subnet"):
        subnet = key({"Ref": name})
        if subnet not in routed:
            yield f"{name} has no route table of ours"
        if subnet in of_database and subnet not in walled:
            yield f"{name} has the VPC's own network ACL"
        if subnet not in of_database:
            block = key({"Fn::GetAtt": [name, "CidrBlock"]})
            for direction, egress in (("in", False), ("out", True)):
                if (egress, block) not in entries:
                    yield f"the database's network ACL does not let {name} {direction}"


def captures_are_consumed(resources: Resources) -> Iterator[str]:
    """The queue of the captures leads to the function, the bus to the queue, and failures to somebody who is told."""
    consumed = {key(one["EventSourceArn"]) for _, one in of_type(resources, "AWS::Lambda::EventSourceMapping")}
    targets = {
        key(target["Arn"])
        for _, rule in of_type(resources, "AWS::Events::Rule")
        if "EventBusName" in rule
        for target in rule["Targets"]
    }
    if not consumed:
        yield "nobody takes captures from the queue"
    for target in sorted(targets - consumed):
        yield f"the bus leads to {target}, which nobody takes captures from"
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for _, alarm in of_type(resources, "AWS::CloudWatch::Alarm")
        for dimension in alarm.get("Dimensions", [])
        if dimension["Name"] == "QueueName"
    }
    for name, _ in of_type(resources, "AWS::SQS::Queue"):
        if name not in watched:
            yield f"no alarm looks at {name}"


RULES = (
    ways_are_open_on_both_sides,
    subnets_have_routes_and_walls,
    captures_are_consumed,
)
