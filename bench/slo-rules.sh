#!/usr/bin/env bash
# What one objective in many groups costs: as the rules that `mainstay slo export` writes, evaluated by a real Prometheus, and
# as Mainstay counts it.
#
#   bench/slo-rules.sh [GROUPS]...     the numbers of groups that Prometheus is measured with, 10, 100 and 300 if none are given
#
# Prometheus has three days of samples 30 s apart, two series for each group, and evaluates the burn windows (5 minutes to 3
# days) every 10 s; it would need ten times as many for the budget's 30 days, which it is not asked for here. Mainstay has
# 10,000 groups with 30 days, counts a scrape every 30 s and judges budget and burn windows every 10 s. CPU time of either.
# needs: python3:python3 curl:curl prometheus:prometheus promtool:prometheus
# shellcheck source-path=SCRIPTDIR source=../e2e/harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/harness/mainstay.sh"
find_mainstay "${PROFILE:-release}"
(($#)) || set -- 10 100 300

cat >"$work/slo.yaml" <<'YAML'
apiVersion: openslo/v1
kind: SLO
metadata: {name: gateway, annotations: {mainstay/group-by: "tenant, cell"}}
spec:
  service: gateway
  indicator:
    metadata: {name: gateway}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: Prometheus, spec: {query: 'requests_total{code="500"}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: requests_total}}}
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.9995}]
YAML
"$mainstay" slo export --catalog "$work/slo.yaml" --output "$work/all.yaml" >"$work/export.log" 2>&1 || die "no rules"

measure() {
    local groups=$1 port
    rm -rf "$work/data" "$work/samples.txt"
    read -r port < <(free_ports 1)
    python3 - "$groups" "$work" <<'PY'
import sys, time

groups, work = int(sys.argv[1]), sys.argv[2]
STEP_S = 30
end = int(time.time()) // STEP_S * STEP_S
# Only the burn windows: the group of the whole period is the last one.
rules = open(f"{work}/all.yaml").read()
head, *parts = rules.split("  - name: ")
kept = [part for part in parts if not part.split("\n", 1)[0].endswith("-period")]
open(f"{work}/rules.yaml", "w").write(head + "".join("  - name: " + part for part in kept))
with open(f"{work}/samples.txt", "w") as out:
    print("# TYPE requests counter", file=out)
    for group in range(groups):
        for code, rate in (("200", 300), ("500", 0.03)):
            name = f'requests_total{{code="{code}",tenant="bank-{group // 10}",cell="cell-{group % 10}",instance="gateway"}}'
            out.writelines(
                f"{name} {int(rate * n)} {end - 3 * 86400 + n * STEP_S}\n" for n in range(1, 3 * 86400 // STEP_S)
            )
    print("# EOF", file=out)
PY
    promtool tsdb create-blocks-from openmetrics --quiet "$work/samples.txt" "$work/data" >"$work/blocks.log" 2>&1 \
        || die "promtool makes no blocks"
    rm "$work/samples.txt"
    printf 'global: {evaluation_interval: 10s}\nrule_files: [rules.yaml]\n' >"$work/prometheus.yaml"
    start "prometheus-$groups" prometheus --config.file="$work/prometheus.yaml" --storage.tsdb.path="$work/data" \
        --web.listen-address="127.0.0.1:$port" --storage.tsdb.retention.time=30d --log.level=warn
    local prometheus=$pid
    wait_for 60 "Prometheus" answers "http://127.0.0.1:$port/-/ready" || die "Prometheus does not answer"
    python3 - "$groups" "$port" "$prometheus" "$work" <<'PY' || die "Prometheus evaluates nothing"
import os, sys, time, urllib.request

groups, port, pid, work = sys.argv[1:]
INTERVAL_S = 10


def figures():
    """Of the one group of rules: evaluations, those missed, the seconds that the last one took."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    of = lambda name: sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{"))
    return [of(f"prometheus_rule_{name}") for name in (
        "group_iterations_total", "group_iterations_missed_total", "group_last_duration_seconds", "evaluation_failures_total")]


def cpu():
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# From the end of one evaluation to the end of another, a minute or three of them later.
def next_end(after):
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        done, missed, took, failed = figures()
        if took > 0 and done > after:
            return done, missed, took, failed
        time.sleep(0.2)
    sys.exit("no evaluation came to its end")


first, missed, _, _ = next_end(1)
begun, spent = time.monotonic(), cpu()
longest, last = 0, first
while last < first + 3 or time.monotonic() - begun < 60:
    last, missed_now, took, failed = next_end(last)
    longest = max(longest, took)
spent, evaluations = cpu() - spent, last - first
if failed:
    sys.exit(f"{failed:.0f} evaluations failed")
keeps_up = "keeps up" if missed_now == missed else f"misses {missed_now - missed:.0f} of {missed_now - missed + evaluations:.0f}"
each = spent / evaluations
print(f"Prometheus, {groups:>6} groups: an evaluation of the burn windows takes {longest:.2f} s and {each:.2f} CPU-s, "
      f"{each / int(groups) * 1e6:,.0f} us per group; every {INTERVAL_S} s it {keeps_up}", flush=True)
open(f"{work}/each", "w").write(str(each / int(groups) * 1e6))
PY
    slay "$prometheus"
}

for groups in "$@"; do measure "$groups"; done
cargo bench --quiet --locked -p mainstay-slo --bench cost -- groups 2>/dev/null | tee "$work/ours.txt" | sed 's/^groups: /Mainstay: /'
python3 - "$work" <<'PY'
import re, sys
work = sys.argv[1]
text = open(f"{work}/ours.txt").read()
figure = lambda pattern: float(re.search(pattern, text)[1])
# Prometheus' samples are taken in beside its rules; ours are counted as they come, a scrape every 30 s.
groups, tick_us = figure(r"groups: (\d+) groups"), figure(r"a tick ([\d.]+) ms") * 1000
counting_us = 2 * groups * figure(r"([\d.]+) ns per sample") / 1000 * 10 / 30
ours, theirs = (tick_us + counting_us) / groups, float(open(f"{work}/each").read())
print(f"per group every 10 s: Prometheus {theirs:,.0f} us for its rules, Mainstay {ours:.2f} us to count and judge: {theirs / ours:,.0f} to 1")
PY
