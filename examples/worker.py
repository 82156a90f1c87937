#!/usr/bin/env python3
"""A worker for `ingester-perf gate`: how long does it take to hash a megabyte?

    ingester-perf gate --base-exe old/worker.py --head-exe new/worker.py

docs/worker.md describes what is said here.
"""
import hashlib, json, sys, time

data = bytes(1 << 20)
cases = {"hash/1MB": lambda: hashlib.sha256(data).digest()}

def say(message):
    print(json.dumps(message), flush=True)

def spin(ns):
    end = time.perf_counter_ns() + ns
    while time.perf_counter_ns() < end:
        pass

with open(__file__, "rb") as file:
    say({"protocol": 2, "build": {"sha256": hashlib.sha256(file.read()).hexdigest()}, "cases": list(cases)})
for line in sys.stdin:
    request = json.loads(line)
    if request == "quit":
        break
    elif request == "latencies":
        say({"latencies": []})
    elif "begin" in request:
        say({"ready": {"subject": "hashlib"}})
    elif "prepare" in request:
        case = cases[request["prepare"]["case"]]
        say("prepared")
    elif "slice" in request:
        started = time.perf_counter_ns()
        for _ in range(request["slice"]["iters"]):
            case()
        value = time.perf_counter_ns() - started
        spun = int(value * request["slice"]["spin"])
        spin(spun)
        say({"slice": {"value": value, "spun": spun}})
