"""Prints the lines of a log group that match a pattern, as a JSON list: the pattern and the group are the arguments."""

import json
import sys

import boto3

group, pattern = sys.argv[1:]
found = boto3.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern)
print(json.dumps([event["message"] for page in found for event in page["events"]]))
