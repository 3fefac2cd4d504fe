"""Evaluates template.yaml for a set of parameters: one document with the resources of all its layers.

Parameters, conditions and outputs of nested stacks become values; `AWS::Serverless` becomes what SAM makes of it. What only a
deployment knows, the `Ref` and `Fn::GetAtt` of a resource, stays as it is, so that every checker sees the whole graph.

    evaluate.py VARIANT     prints one of variants.json
    evaluate.py all DIR     writes each into a file
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from pathlib import Path

from documents import Template, Value, load

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = Path(__file__).with_name("variants.json")
PSEUDO = {
    "AWS::AccountId": "000000000000",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NotificationARNs": [],
}
NESTED = "AWS::Serverless::Application"
NO_VALUE = object()


class TemplateError(Exception):
    """What CloudFormation would refuse, or this evaluator does not know."""


class Stack:
    """One template with its parameters, and the stacks in it."""

    def __init__(self, path: Path, name: str, parameters: dict[str, Value]) -> None:
        self.path = path
        self.name = name
        self.template = load(path)
        self.parameters = _parameters(self.template, parameters, path)
        self._nested: dict[str, Stack] = {}

    def resources(self) -> dict[str, Value]:
        """The resources of this stack and of all in it, by their logical ids, which no two files share."""
        own: dict[str, Value] = {}
        nested: list[dict[str, Value]] = []
        for name, resource in self._declared().items():
            if resource["Type"] == NESTED:
                nested.append(self.nested(name).resources())
            else:
                own[name] = self.value({key: part for key, part in resource.items() if key != "Condition"})
        if own and "Transform" in self.template:
            own = _as_sam_makes_it(own)
        for other in nested:
            both = own.keys() & other.keys()
            if both:
                raise TemplateError(f"{self.path.name}: two resources are called {sorted(both)}")
            own |= other
        return own

    def outputs(self) -> dict[str, Value]:
        """The values of the outputs whose conditions hold."""
        return {
            name: self.value(output["Value"])
            for name, output in self.template.get("Outputs", {}).items()
            if self.holds(output.get("Condition"))
        }

    def nested(self, name: str) -> Stack:
        """A stack in this one."""
        if name not in self._nested:
            properties = self._declared()[name]["Properties"]
            parameters = {key: self.value(value) for key, value in properties.get("Parameters", {}).items()}
            self._nested[name] = Stack(self.path.parent / properties["Location"], f"{self.name}-{name}", parameters)
        return self._nested[name]

    def holds(self, condition: Value) -> bool:
        """Whether a condition, given by its name or as an expression, is true; none is."""
        if condition is None:
            return True
        if isinstance(condition, str):
            return self.holds(self.template["Conditions"][condition])
        ((function, argument),) = condition.items()
        match function:
            case "Condition":
                return self.holds(argument)
            case "Fn::Equals":
                left, right = (self.value(side) for side in argument)
                return _text(left) == _text(right)
            case "Fn::Not":
                return not self.holds(argument[0])
            case "Fn::And":
                return all(self.holds(part) for part in argument)
            case "Fn::Or":
                return any(self.holds(part) for part in argument)
            case "Fn::EachMemberEquals":
                members, wanted = (self.value(side) for side in argument)
                return all(_text(member) == _text(wanted) for member in members)
        raise TemplateError(f"{self.path.name}: no condition: {function}")

    def broken_rules(self) -> list[str]:
        """What the template's own rules have against these parameters."""
        return [
            assertion["AssertDescription"]
            for rule in self.template.get("Rules", {}).values()
            if self.holds(rule.get("RuleCondition"))
            for assertion in rule["Assertions"]
            if not self.holds(assertion["Assert"])
        ]

    def value(self, node: Value) -> Value:
        """A part of the template with all that is known in it filled in."""
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function in ("Ref", "Condition") and isinstance(argument, str) and function == "Ref":
                return self._ref(argument)
            if function.startswith("Fn::"):
                return self._call(function.removeprefix("Fn::"), argument)
        values = {key: self.value(part) for key, part in node.items()}
        return {key: value for key, value in values.items() if value is not NO_VALUE}

    def _declared(self) -> dict[str, Value]:
        return {
            name: resource
            for name, resource in self.template["Resources"].items()
            if self.holds(resource.get("Condition"))
        }

    def _ref(self, name: str) -> Value:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name == "AWS::StackName":
            return self.name
        if name == "AWS::StackId":
            return _stack_id(self.name)
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        resource = self._declared().get(name)
        if resource is None:
            raise TemplateError(f"{self.path.name}: nothing here is called {name}")
        if resource["Type"] == NESTED:
            return _stack_id(f"{self.name}-{name}")
        return {"Ref": name}

    def _call(self, function: str, argument: Value) -> Value:
        match function:
            case "If":
                condition, yes, no = argument
                return self.value(yes if self.holds(condition) else no)
            case "GetAtt":
                name, attribute = argument
                resource = self._declared().get(name)
                if resource is None:
                    raise TemplateError(f"{self.path.name}: nothing here is called {name}")
                if resource["Type"] == NESTED:
                    return self.nested(name).outputs()[attribute.removeprefix("Outputs.")]
                return {"Fn::GetAtt": [name, attribute]}
            case "Sub":
                return _joined("", [self._piece(piece) for piece in re.split(r"(\$\{[^}]+\})", argument) if piece])
            case "Join":
                separator, parts = argument[0], self.value(argument[1])
                return _joined(separator, parts) if isinstance(parts, list) else {"Fn::Join": [separator, parts]}
            case "Select":
                index, choices = argument[0], self.value(argument[1])
                return choices[int(index)] if isinstance(choices, list) else {"Fn::Select": [index, choices]}
            case "Split":
                separator, text = argument[0], self.value(argument[1])
                return text.split(separator) if isinstance(text, str) else {"Fn::Split": [separator, text]}
            case "FindInMap":
                mapping, first, second = (self.value(key) for key in argument)
                return self.template["Mappings"][mapping][first][second]
            case "GetAZs" | "Cidr":
                return {f"Fn::{function}": self.value(argument)}
        raise TemplateError(f"{self.path.name}: no function of ours: {function}")

    def _piece(self, piece: str) -> Value:
        if not piece.startswith("${"):
            return piece
        name = piece[2:-1]
        return self.value({"Fn::GetAtt": name.split(".", 1)} if "." in name else {"Ref": name})


def evaluate(parameters: dict[str, Value], name: str = "turnkeep") -> Template:
    """The whole stack for these parameters, as one template without any."""
    root = Stack(ROOT / "template.yaml", name, parameters)
    if broken := root.broken_rules():
        raise TemplateError("; ".join(broken))
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": root.resources(),
        "Outputs": {key: {"Value": value} for key, value in root.outputs().items()},
    }


def variants() -> dict[str, dict[str, Value]]:
    """The sets of parameters that every check is run for."""
    return json.loads(VARIANTS.read_text(encoding="utf-8"))


def _parameters(template: Template, given: dict[str, Value], path: Path) -> dict[str, Value]:
    declared = template.get("Parameters", {})
    if unknown := given.keys() - declared.keys():
        raise TemplateError(f"{path.name} has no parameters {sorted(unknown)}")
    values = {}
    for name, parameter in declared.items():
        value = given.get(name, parameter.get("Default"))
        if value is None:
            raise TemplateError(f"{path.name}: {name} is not given")
        if not isinstance(value, dict):
            _check(name, value, parameter)
        values[name] = _as_list(value) if parameter["Type"] == "CommaDelimitedList" else value
    return values


def _check(name: str, value: Value, parameter: dict[str, Value]) -> None:
    allowed = parameter.get("AllowedValues")
    if allowed is not None and _text(value) not in map(_text, allowed):
        raise TemplateError(f"{name}: {value} is none of {allowed}")
    if pattern := parameter.get("AllowedPattern"):
        if not re.fullmatch(pattern, _text(value)):
            raise TemplateError(f"{name}: {value} does not match {pattern}")
    if parameter["Type"] == "Number":
        low, high = parameter.get("MinValue", float("-inf")), parameter.get("MaxValue", float("inf"))
        if not low <= float(value) <= high:
            raise TemplateError(f"{name}: {value} is not between {low} and {high}")


def _as_list(value: Value) -> Value:
    if isinstance(value, str):
        return value.split(",")
    if isinstance(value, dict) and value.get("Fn::Join", [None])[0] == ",":
        return value["Fn::Join"][1]
    return [value]


def _joined(separator: str, parts: list[Value]) -> Value:
    """Text if all parts are known, else a join of as few parts as possible."""
    if all(not isinstance(part, dict) for part in parts):
        return separator.join(_text(part) for part in parts)
    if separator == "":
        merged: list[Value] = []
        for part in parts:
            inner = part["Fn::Join"][1] if isinstance(part, dict) and part.get("Fn::Join", [None])[0] == "" else [part]
            for one in inner:
                one = one if isinstance(one, dict) else _text(one)
                if merged and isinstance(one, str) and isinstance(merged[-1], str):
                    merged[-1] += one
                else:
                    merged.append(one)
        parts = merged
        if len(parts) == 1:
            return parts[0]
    return {"Fn::Join": [separator, parts]}


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _stack_id(name: str) -> str:
    account, region = PSEUDO["AWS::AccountId"], PSEUDO["AWS::Region"]
    return f"arn:aws:cloudformation:{region}:{account}:stack/{name}/00000000-0000-0000-0000-000000000000"


def _as_sam_makes_it(resources: dict[str, Value]) -> dict[str, Value]:
    os.environ.setdefault("AWS_DEFAULT_REGION", str(PSEUDO["AWS::Region"]))
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            # `sam package` puts the build there.
            resource["Properties"]["CodeUri"] = "s3://code/bootstrap.zip"
    # The translator keeps figures about itself, and complains that nobody collects them.
    logging.getLogger("samtranslator.metrics.metrics").disabled = True
    translated = Translator({}, Parser()).translate({"Resources": resources}, {})
    return translated["Resources"]


def main(arguments: list[str]) -> None:
    """Prints a variant, or writes all of them."""
    if arguments[:1] == ["all"]:
        folder = Path(arguments[1])
        folder.mkdir(parents=True, exist_ok=True)
        for name, parameters in variants().items():
            (folder / f"{name}.json").write_text(json.dumps(evaluate(parameters), indent=1) + "\n", encoding="utf-8")
    else:
        print(json.dumps(evaluate(variants()[arguments[0]]), indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
