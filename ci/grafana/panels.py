#!/usr/bin/env python3
"""Checks dashboard.json: by its schema, that no panels lie on each other, and that every query of it returns data from a
Prometheus that has some. Called by ci/dashboards.sh.

usage: panels.py URL START END      times in seconds since 1970
"""

import json
import math
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import jsonschema

HERE = Path(__file__).parent
# What Grafana would put in their places. $__rate_interval is four times the interval in which metrics come.
VARIABLES = {"$__rate_interval": "20s", "$operation": ".*"}


def ask(path, **parameters):
    """The data of an answer of Prometheus; its own message where it refuses."""
    url = f"{sys.argv[1]}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{parameters}: {json.load(error).get('error')}")


def overlaps(one, other):
    """Whether two panels share a place."""
    a, b = one["gridPos"], other["gridPos"]
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    return not beside and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]


def check_form(dashboard):
    """Ends with a message where Grafana could not show it."""
    jsonschema.validate(dashboard, json.loads((HERE / "dashboard.schema.json").read_text()))
    panels = dashboard["panels"]
    if len({panel["id"] for panel in panels}) != len(panels):
        sys.exit("two panels have the same id")
    for place, panel in enumerate(panels):
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            sys.exit(f"{panel['title']}: is wider than the page, which has 24 columns")
        for other in panels[:place]:
            if overlaps(panel, other):
                sys.exit(f"{panel['title']}: lies on {other['title']}")


def values_of(expression):
    """How many finite values it has between start and end, and in how many series."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    if "$" in expression:
        sys.exit(f"{expression}: has a variable that is not known here")
    found = ask("query_range", query=expression, start=sys.argv[2], end=sys.argv[3], step=1)["result"]
    values = [float(value) for series in found for _, value in series["values"]]
    return sum(math.isfinite(value) for value in values), len(found)


dashboard = json.loads((HERE / "dashboard.json").read_text())
check_form(dashboard)
empty = []
print("| panel | query | values | series |")
print("| --- | --- | --- | --- |")
for panel in dashboard["panels"]:
    for target in panel["targets"]:
        values, series = values_of(target["expr"])
        print(f"| {panel['title']} | {target['refId']} | {values} | {series} |")
        if values == 0:
            empty.append(f"{panel['title']}, {target['refId']}: {target['expr']}")
operations = ask("label/operation/values", **{"match[]": "ingester_perf_run_info"})
print(f"\nOperations to choose from: {', '.join(operations)}")
if not operations:
    empty.append("the variable $operation")
if empty:
    sys.exit("no data for:\n" + "\n".join(empty))
