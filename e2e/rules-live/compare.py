"""Holds the alerts of two rule evaluators against each other.

    compare.py EXPORTER_URL PROMETHEUS_URL MAINSTAY_URL RULE_FILE TOLERANCE_S

Both are asked for `ALERTS{alertstate="firing"}` second by second over the whole script. Every alert must have fired and
resolved in both, equally often, under the same labels, and each instant must agree within the tolerance.
"""

import json
import re
import sys
import urllib.parse
import urllib.request

exporter, prometheus, mainstay, rule_file, tolerance = *sys.argv[1:5], float(sys.argv[5])


def get(url, **parameters):
    query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
    with urllib.request.urlopen(url + query, timeout=30) as answer:
        return json.load(answer)


script = get(exporter + "/script")
start, end = int(script["start"]), int(script["end"])


def firings(base):
    """Labels of each alert to the list of (fired, resolved), in seconds since the start; None: fires still."""
    found = {}
    for begin in range(start, end + 1, 5000):
        last = min(begin + 4999, end)
        answer = get(f"{base}/api/v1/query_range", query='ALERTS{alertstate="firing"}', start=begin, end=last, step=1)
        assert answer["status"] == "success", answer
        for series in answer["data"]["result"]:
            labels = tuple(sorted((name, value) for name, value in series["metric"].items() if name not in ("__name__", "alertstate")))
            found.setdefault(labels, []).extend(int(float(at)) for at, _ in series["values"])
    spans = {}
    for labels, instants in found.items():
        spans[labels] = []
        for at in instants:
            if spans[labels] and at - spans[labels][-1][1] <= 1:
                spans[labels][-1][1] = at
            else:
                spans[labels].append([at, at])
        spans[labels] = [(first - start, None if last >= end - 1 else last + 1 - start) for first, last in spans[labels]]
    return spans


theirs, ours = firings(prometheus), firings(mainstay)
wrong = []
print(f"{'alert':<28} {'':<9} {'Prometheus':>11} {'Mainstay':>9} {'apart':>6}   (seconds since the start; allowed: {tolerance:g})")
for labels in sorted(theirs.keys() | ours.keys()):
    name = dict(labels)["alertname"]
    where = ", ".join(f"{key}={value}" for key, value in labels if key in ("instance", "pod", "name"))
    one, other = theirs.get(labels, []), ours.get(labels, [])
    if len(one) != len(other):
        wrong.append(f"{name} {{{where}}}: Prometheus {one}, Mainstay {other}")
        continue
    for theirs_span, ours_span in zip(one, other):
        for word, a, b in (("fired", theirs_span[0], ours_span[0]), ("resolved", theirs_span[1], ours_span[1])):
            if a is None or b is None:
                wrong.append(f"{name} {{{where}}} had not {word} at the end: Prometheus {a}, Mainstay {b}")
                continue
            print(f"{name:<28} {word:<9} {a:>11} {b:>9} {abs(a - b):>6}   {where}")
            if abs(a - b) > tolerance:
                wrong.append(f"{name} {{{where}}} {word} {abs(a - b)} s apart")
names = set(re.findall(r"^\s*- alert: (\S+)", open(rule_file).read(), re.M))
silent = names - {dict(labels)["alertname"] for labels in ours}
if silent:
    wrong.append(f"never fired: {', '.join(sorted(silent))}")
for line in wrong:
    print("WRONG:", line)
print(f"{len(names)} rules, {sum(map(len, ours.values()))} firings, {len(wrong)} disagreements")
sys.exit(1 if wrong or not names else 0)
