#!/usr/bin/env bash
# The main job: the demo from the release to the post-mortem says line for line what e2e/demo/*.txt holds, only times and
# counts differ; it keeps its promises about time, and its counts agree with the clients' to the integer.
# In the CI tier one cell; in the full tier two cells, twice over the same data, and a different fault.
# needs: python3:python3
# shellcheck source-path=SCRIPTDIR source=harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/harness/mainstay.sh"
read -r port < <(free_ports 1)

# play NAME SCENARIO OPTION...: one run; its account without times and counts is compared with the golden one of that scenario.
play() {
    local name=$1 scenario=$2 status=0
    shift 2
    say "demo: $name"
    "$mainstay" demo --data "$work/demo" --listen "127.0.0.1:$port" --scenario "$scenario" "$@" \
        <"$work/open" >"$work/$name.log" 2>&1 || status=$?
    sed 's/^/  | /' "$work/$name.log" >&2
    ((status == 0)) || die "$name ended with status $status"
    python3 - "$work/$name.log" "e2e/demo/$scenario.txt" <<'PY' || die "$name told another story"
import difflib, re, sys
def story(name):
    """The lines that tell what happened, without what may differ between two runs."""
    lines = [line for line in open(name).read().splitlines() if re.match(r"\s+\d+:\d\d\s|.*counts agree", line)]
    lines = [re.sub(r"\d+(\.\d+)? times too fast.*", "N times too fast", line) for line in lines]
    lines = [re.sub(r"/\S*/postmortem-\S+", "postmortem", line) for line in lines]
    lines = [re.sub(r"up: .*, \d+ pods", "up", line) for line in lines]
    # Who is on call depends on the week.
    lines = [re.sub(r"delivered to \w+ by \w+", "delivered to somebody", line) for line in lines]
    lines = [re.sub(r"(N|\d+) min \d+ s|\d+ s", "N s", line) for line in lines]
    return [re.sub(r"(?<![\w.-])\d+(-\d+)*(:\d+)*", "N", line).strip() for line in lines]
told, golden = story(sys.argv[1]), open(sys.argv[2]).read().splitlines()
for line in difflib.unified_diff(golden, told, "golden", "told", lineterm=""):
    print(line, file=sys.stderr)
text = open(sys.argv[1]).read()
def seconds(pattern):
    found = re.search(pattern + r", (?:(\d+) min )?(\d+) s after the first failure", text)
    return int(found[1] or 0) * 60 + int(found[2]) if found else None
bounds = {"page delivered to .*": 60, "recovered": 240, "resolved": 600}
alert = re.search(r"burn alert, (\d+) s after .* a tick are (\d+) s", text)
# The clients' counts are of a full second.
if not alert or int(alert[1]) > int(alert[2]) + 1:
    sys.exit(f"the burn alert came too late: {alert and alert[0]}")
late = [f"{what} after {seconds(what)} s of {most}" for what, most in bounds.items() if (seconds(what) or 0) > most]
sys.exit("too late: " + "; ".join(late) if late else told != golden)
PY
}

# replayed: what the last run's server judged, judged again from what it left on the disk, is the same to the last bit, and the
# page is among it.
replayed() {
    "$mainstay" slo replay --data "$work/demo/mainstay" --catalog catalogs/payments -o json >"$work/replay.json" ||
        die "the run cannot be replayed"
    json "$work/replay.json" '(d["is_equal"], [(page["slo"], page["pair"]["severity"], page["from"]) for page in d["pages"]][:3])' >&2
    [[ $(json "$work/replay.json" 'd["is_exact"] and d["is_equal"] and any(page["slo"] == "api-availability-30d" and page["pair"]["severity"] == "P1" for page in d["pages"])') == True ]] ||
        die "the replay tells another story"
}

if [[ ${MAINSTAY_FULL-} == 1 ]]; then
    find_mainstay release
    play first bad-deploy
    play second bad-deploy
    play other bad-clearing
    python3 - "$work"/demo/postmortem-*.md <<'PY' || die "two faults, one post-mortem"
import sys
drafts = [open(name).read() for name in sys.argv[1:]]
suspects = [next((line for line in draft.split("## Root cause")[1].splitlines() if line.startswith("1. ") or line.startswith("### 1")), "") for draft in drafts]
print("suspects:", *suspects, sep="\n  ", file=sys.stderr)
sys.exit(not (len(drafts) == 3 and "payment-service v1.6.0" in suspects[0] and "payment-service v1.6.0" in suspects[1] and "clearing-adapter v2.1.0" in suspects[2]))
PY
else
    find_mainstay debug
    play one-cell bad-deploy --cells cell-5 --rps 200 --payments-rps 75
    replayed
fi
say "demo: ok"
