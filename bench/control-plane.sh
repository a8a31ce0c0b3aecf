#!/usr/bin/env bash
# What the control plane costs while it watches two cells at 400 requests/s at the gateways, 150 of them payments.
#
#   bench/control-plane.sh [SECONDS]     how long to measure, 60 if nothing is said
#
# Runs `mainstay demo --scenario good` and reads /proc of its children. CPU is measured in steady state, after the warm-up
# and over the release; the memory is the peak since the start. Exit status 1 if `serve` takes more than 0.15 CPU-seconds
# per second or 200 MB.
# needs: python3:python3 curl:curl
# shellcheck source-path=SCRIPTDIR source=../e2e/harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/harness/mainstay.sh"
find_mainstay release
span=${1:-60}
read -r port < <(free_ports 1)

# The demo pauses for the warm-up and for 90 s after the release; the measurement must end before the load does.
start demo "$mainstay" demo --scenario good --data "$work/demo" --listen "127.0.0.1:$port" --warm-up-s $((span > 60 ? span - 30 : 30))
demo_pid=$pid
released() { grep -q " deployed " "$work/demo.log"; }
flowing() { grep -q "traffic flows" "$work/demo.log"; }
wait_for 180 "traffic" flowing || die "no traffic: $(cat "$work/demo.log")"
# The stores fill, pools and caches grow: what comes then is the steady state.
sleep 20

python3 - "$demo_pid" "$span" <<'PY' && result=0 || result=$?
import os, sys, time

demo, span = int(sys.argv[1]), float(sys.argv[2])
TICK, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
CPU_LIMIT, RSS_LIMIT = 0.15, 200e6


def processes():
    """Process id to (parent, command line, CPU-seconds, peak of resident bytes)."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = open(f"/proc/{name}/stat").read().rsplit(")", 1)[1].split()
            words = open(f"/proc/{name}/cmdline").read().split("\0")
            status = dict(line.split(":", 1) for line in open(f"/proc/{name}/status") if ":" in line)
        except (FileNotFoundError, ProcessLookupError):
            continue
        peak = int(status.get("VmHWM", "0 kB").split()[0]) * 1024
        found[int(name)] = (int(stat[1]), words, (int(stat[11]) + int(stat[12])) / TICK, peak)
    return found


def role(words):
    if "serve" in words[1:2]:
        return "serve"
    if "payd" in words[1:2]:
        return {"supervisor": "supervisor", "loadgen": "load generator"}.get(words[2], "platform pods")
    return {"demo": "demo", "inbox": "inbox"}.get(words[1] if len(words) > 1 else "", None)


def snapshot():
    """Of the demo and everything under it: process id to (role, CPU-seconds, peak)."""
    every = processes()
    family, grew = {demo}, True
    while grew:
        more = {pid for pid, (parent, *_) in every.items() if parent in family} - family
        family, grew = family | more, bool(more)
    return {pid: (role(every[pid][1]), every[pid][2], every[pid][3]) for pid in family if pid in every}


before, begun = snapshot(), time.monotonic()
serve_before = {pid for pid, one in before.items() if one[0] == "serve"}
end = begun + span
peaks = {}
while True:
    after, now = snapshot(), time.monotonic()
    for pid, (_, _, peak) in after.items():
        peaks[pid] = max(peaks.get(pid, 0), peak)
    if now >= end:
        break
    if demo not in after:
        sys.exit("the demo ended before the measurement did")
    time.sleep(min(2, end - now))
elapsed = now - begun
if serve_before != {pid for pid, one in after.items() if one[0] == "serve"} or len(serve_before) != 1:
    sys.exit("serve was not one and the same process throughout")

print(f"measured over {elapsed:.1f} s on {os.cpu_count()} cores")
print(f"{'':<16}{'processes':>10}{'CPU-s/s':>10}{'peak MB':>10}")
rows = {}
for pid, (name, cpu, _) in after.items():
    count, sum_cpu, sum_peak = rows.get(name, (0, 0.0, 0))
    # A pod that was started in between began at nothing.
    spent = cpu - before[pid][1] if pid in before else cpu
    rows[name] = (count + 1, sum_cpu + spent, sum_peak + peaks[pid])
for name in ("serve", "platform pods", "supervisor", "load generator", "inbox", "demo"):
    count, cpu, peak = rows.get(name, (0, 0.0, 0))
    print(f"{name:<16}{count:>10}{cpu / elapsed:>10.3f}{peak / 1e6:>10.1f}")
_, cpu, peak = rows["serve"]
if rows.get("platform pods", (0,))[0] < 10:
    sys.exit("the platform is not there: the figures mean nothing")
cpu /= elapsed
good = cpu <= CPU_LIMIT and peak <= RSS_LIMIT
print(f"serve: {cpu:.3f} CPU-s/s of {CPU_LIMIT}, {peak / 1e6:.1f} MB of {RSS_LIMIT / 1e6:.0f}: {'ok' if good else 'TOO MUCH'}")
sys.exit(0 if good else 1)
PY
((result == 0)) || exit "$result"

# Figures of a run that did not carry the load would mean nothing.
wait_for 240 "the end of the demo" gone "$demo_pid" || die "the demo does not end"
json "$work/demo/loadgen.json" '"load: %d requests, %d bad" % (d["total"], d["bad"])'
grep -E "budget of|seen by the clients|the counts" "$work/demo.log" || true
grep -q "agree to the integer" "$work/demo.log" || die "the demo did not end well: $(tail -n 5 "$work/demo.log")"
