"""Rules about the network's exact shape: which group sends to which, what the wall behind them lets through, who is in which zone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from documents import Value
from graph import Resources, of_type, variables
from policy import named, text

# An answer goes to a port of the caller's own choice.
PORTS_OF_CALLERS = (1024, 65535)


def groups_are_as_drawn(resources: Resources) -> Iterator[str]:
    """The functions send to the database and to Secrets Manager, capture to S3 besides, each by one port, and nobody else anywhere."""
    drawn: set[tuple[str, str, str]] = set()
    endpoints = {
        text(group)
        for _, endpoint in of_type(resources, "AWS::EC2::VPCEndpoint")
        for group in endpoint.get("SecurityGroupIds", [])
    } or {text(rule["DestinationSecurityGroupId"]) for rule in _rules(resources, "Egress") if str(rule.get("ToPort")) == "443" and "DestinationSecurityGroupId" in rule}
    databases = {
        text(group) for _, cluster in of_type(resources, "AWS::RDS::DBCluster") for group in cluster["VpcSecurityGroupIds"]
    } or {text(rule["GroupId"]) for rule in _rules(resources, "Ingress") if str(rule.get("ToPort")) != "443"}
    lists = {text(rule["DestinationPrefixListId"]) for rule in _rules(resources, "Egress") if "DestinationPrefixListId" in rule}
    for _, function in of_type(resources, "AWS::Lambda::Function"):
        for group in map(text, function["VpcConfig"]["SecurityGroupIds"]):
            drawn |= {(group, one, text(variables(function)["DB_PORT"])) for one in databases}
            drawn |= {(group, one, "443") for one in endpoints}
            if "CONVERSATIONS_BUCKET" in variables(function):
                drawn |= {(group, one, "443") for one in lists}
    sends = {(text(rule["GroupId"]), _other(rule, "Destination"), _port(rule)) for rule in _rules(resources, "Egress")}
    admits = {(_other(rule, "Source"), text(rule["GroupId"]), _port(rule)) for rule in _rules(resources, "Ingress")}
    for edge in sorted(sends ^ drawn):
        yield f"{' to '.join(edge)} is {'sent, and not drawn' if edge in sends else 'drawn, and not sent'}"
    for edge in sorted(admits ^ {edge for edge in drawn if edge[1] not in lists}):
        yield f"{' to '.join(edge)} is {'admitted, and not drawn' if edge in admits else 'drawn, and not admitted'}"
    for one in lists:
        if not re.fullmatch(r"pl-[0-9a-f]{8,17}", one):
            yield f"{one} is no prefix list"


def the_wall_is_as_thick_as_it_should_be(resources: Resources) -> Iterator[str]:
    """The database's subnets take its port from the functions' subnets and answer them; nothing else passes."""
    for name, _ in of_type(resources, "AWS::EC2::NetworkAcl"):
        behind = {text(one["SubnetId"]) for _, one in of_type(resources, "AWS::EC2::SubnetNetworkAclAssociation") if text(one["NetworkAclId"]) == f"<{name}>"}
        before = [f"<{subnet}>" for subnet, _ in of_type(resources, "AWS::EC2::Subnet") if f"<{subnet}>" not in behind]
        ports = {int(variables(one)["DB_PORT"]) for _, one in of_type(resources, "AWS::Lambda::Function") if "DB_PORT" in variables(one)}
        wanted = {(False, f"{subnet[:-1]}.CidrBlock>", (port, port)) for subnet in before for port in ports}
        wanted |= {(True, f"{subnet[:-1]}.CidrBlock>", PORTS_OF_CALLERS) for subnet in before}
        found = set()
        numbers = set()
        for entry, one in of_type(resources, "AWS::EC2::NetworkAclEntry"):
            if text(one["NetworkAclId"]) != f"<{name}>" or one.get("Protocol") != 6 or one.get("RuleAction") != "allow":
                yield f"{entry} allows no TCP through {name}"
            numbers.add((one["Egress"], one["RuleNumber"]))
            found.add((one["Egress"], text(one["CidrBlock"]), (int(one["PortRange"]["From"]), int(one["PortRange"]["To"]))))
        if len(numbers) != len(found) or any(not 1 <= number <= 32766 for _, number in numbers):
            yield f"two entries of {name} have one number, or one that is none"
        for direction, block, (low, high) in sorted(wanted ^ found):
            passes = "lets" if (direction, block, (low, high)) in found else "does not let"
            yield f"{name} {passes} {block} {'out' if direction else 'in'}, ports {low} to {high}"


def pairs_are_in_two_zones(resources: Resources) -> Iterator[str]:
    """Subnets that are used together are in two zones, have addresses of their own, and the routes of their kind."""
    subnets = dict(of_type(resources, "AWS::EC2::Subnet"))
    if not subnets:
        return
    together = [function["VpcConfig"]["SubnetIds"] for _, function in of_type(resources, "AWS::Lambda::Function")]
    together += [group["SubnetIds"] for _, group in of_type(resources, "AWS::RDS::DBSubnetGroup")]
    together += [one["SubnetIds"] for _, one in of_type(resources, "AWS::EC2::VPCEndpoint") if len(one.get("SubnetIds", [])) > 1]
    used: set[str] = set()
    for group in together:
        names = [named(text(one)) for one in group]
        used |= set(names)
        zones = {str(subnets.get(name, {}).get("AvailabilityZone")) for name in names}
        if len(names) != 2 or len(zones) != 2:
            yield f"{names} are not in two zones"
    for unused in sorted(set(subnets) - used):
        yield f"nobody is in {unused}"
    blocks = [str(subnet["CidrBlock"]) for subnet in subnets.values()]
    if len(set(blocks)) != len(blocks):
        yield "two subnets have the same addresses"
    vpcs = [vpc.get("CidrBlock") for _, vpc in of_type(resources, "AWS::EC2::VPC")]
    for subnet, properties in subnets.items():
        if properties["CidrBlock"].get("Fn::Select", [0, {}])[1].get("Fn::Cidr", [None])[0] not in vpcs:
            yield f"{subnet} has no addresses of the VPC"
        if _index(properties["CidrBlock"]) not in range(4) or _index(properties["AvailabilityZone"]) not in range(2):
            yield f"{subnet} has no part of the VPC's addresses, or no zone"
    tables = {
        named(text(one["SubnetId"])): text(one["RouteTableId"]) for _, one in of_type(resources, "AWS::EC2::SubnetRouteTableAssociation")
    }
    for _, group in of_type(resources, "AWS::RDS::DBSubnetGroup"):
        with_s3 = {text(one) for _, endpoint in of_type(resources, "AWS::EC2::VPCEndpoint") for one in endpoint.get("RouteTableIds", [])}
        of_database = {named(text(one)) for one in group["SubnetIds"]}
        for subnet in sorted(subnets):
            routes = tables.get(subnet, "")
            if (routes in with_s3) == (subnet in of_database) or resources.get(named(routes), {}).get("Type") != "AWS::EC2::RouteTable":
                yield f"{subnet} has the routes of the other kind"


RULES = (groups_are_as_drawn, the_wall_is_as_thick_as_it_should_be, pairs_are_in_two_zones)


def _rules(resources: Resources, direction: str) -> list[Value]:
    return [rule for _, rule in of_type(resources, f"AWS::EC2::SecurityGroup{direction}")]


def _other(rule: Value, side: str) -> str:
    return text(rule.get(f"{side}SecurityGroupId") or rule.get(f"{side}PrefixListId") or rule.get("CidrIp", "everybody"))


def _port(rule: Value) -> str:
    one = rule.get("FromPort") == rule.get("ToPort") and rule.get("IpProtocol") == "tcp"
    return text(rule["ToPort"]) if one else f"{rule.get('IpProtocol')} {rule.get('FromPort')} to {rule.get('ToPort')}"


def _index(value: Value) -> int:
    """Which of several a `Fn::Select` takes; something else is none of them."""
    if isinstance(value, dict) and "Fn::Select" in value:
        index, choices = value["Fn::Select"]
        return int(index) if choices == {"Fn::GetAZs": ""} or _is_cidr(choices) else -1
    return -1


def _is_cidr(choices: Value) -> bool:
    """Four blocks of 256 addresses of the VPC's own."""
    return isinstance(choices, dict) and list(choices) == ["Fn::Cidr"] and choices["Fn::Cidr"][1:] == [4, 8] and "/" in str(choices["Fn::Cidr"][0])
