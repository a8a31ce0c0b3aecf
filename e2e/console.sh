#!/usr/bin/env bash
# What a human sees: two alerts and a deployment come in, somebody is paged, and the first screen says which cell, which
# tenants and which change; so it does after an acknowledgement and after a kill -9. What is asserted is the HTML as sent, before
# any script. Screenshots are left in target/e2e/.
# needs: python3:python3 curl:curl chromium:chromium
# shellcheck source-path=SCRIPTDIR source=harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/harness/mainstay.sh"
find_mainstay debug

shots=$PWD/target/e2e
mkdir -p "$shots"
start_inbox
read -r port < <(free_ports 1)
url=http://127.0.0.1:$port

serve() {
    start serve "$mainstay" serve --exit-with-parent --data "$work/data" --catalog catalogs/payments --listen "127.0.0.1:$port" \
        --inbox "$inbox_url"
    serve_pid=$pid
    wait_for 60 "the console" answers "$url/healthz" || die "the console does not answer"
}
at() { date -u -d "$1 ago" +%Y-%m-%dT%H:%M:%SZ; }

# shown PATH: the text of the first screen of a page: from its heading to "Objectives" or, of an incident, to "Timeline".
shown() {
    answers "$url$1" | python3 -c '
import html.parser, sys
class Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.words, self.main = [], False
    def handle_starttag(self, tag, attributes):
        self.main |= tag == "main"
    def handle_data(self, data):
        if self.main:
            self.words += data.split()
page = Text()
page.feed(sys.stdin.read())
print(" ".join(page.words).split(" Objectives ")[0].split(" Timeline ")[0])'
}
# names WHERE TEXT WORD...: every word is in the text; what is missing is counted, so that one run finds it all.
missing=0
names() {
    local where=$1 text=$2 word absent=()
    shift 2
    for word in "$@"; do
        grep -qiF -- "$word" <<<"$text" || absent+=("$word")
    done
    if ((${#absent[@]})); then
        missing=$((missing + ${#absent[@]}))
        say "MISSING in $where: ${absent[*]}"
        say "  it says: $(head -c 2000 <<<"$text")"
    fi
}
# browse FLAG... URL: a headless browser. There is no bus to talk to on a server, of which it complains at length.
browse() {
    timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --user-data-dir="$work/browser" \
        "$@" >"$work/browser.txt" 2>&1 || die "the browser failed: $(tail -n 5 "$work/browser.txt")"
}
# shot NAME PATH WIDTH HEIGHT [FLAG]: a screenshot; with the flag $dark, in the dark.
dark=--blink-settings=preferredColorScheme=0
shot() {
    browse ${5:+"$5"} --screenshot="$shots/$1.png" --window-size="$3,$4" "$url$2"
    # An empty page compresses to next to nothing.
    (($(stat -c %s "$shots/$1.png") > 10000)) || die "the screenshot $1.png shows nothing"
}

serve
say "a quiet console"
quiet=$(shown /)
if grep -qF cell-5 <<<"$quiet"; then die "a quiet console speaks of cell-5: $quiet"; fi

cat >"$work/deploy.json" <<JSON
{"specversion": "1.0", "id": "deploy-1", "source": "/ci/payment-service", "type": "com.mainstay.change.deploy",
 "subject": "payment-service", "time": "$(at '3 minutes')",
 "data": {"cell": "cell-5", "from_version": "v1.5.0", "to_version": "v1.6.0", "summary": "payment-service v1.6.0"}}
JSON
alert() {
    printf '{"status": "firing", "labels": {"alertname": "HighErrorRate", "priority": "P0", "severity": "critical",
      "service": "payment-service", "cell": "cell-5", "tenant": "%s"},
     "annotations": {"summary": "More than 5%% of the requests fail"}, "startsAt": "%s", "endsAt": "0001-01-01T00:00:00Z",
     "generatorURL": "http://prometheus.example/graph", "fingerprint": "%s"}' "$1" "$(at '1 minute')" "$2"
}
cat >"$work/alerts.json" <<JSON
{"version": "4", "groupKey": "{}:{cell=\"cell-5\"}", "truncatedAlerts": 0, "status": "firing", "receiver": "mainstay",
 "groupLabels": {"cell": "cell-5"}, "commonLabels": {"cell": "cell-5"}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example",
 "alerts": [$(alert STD-001 0000000000000001), $(alert SOU-001 0000000000000002)]}
JSON
post "$url/api/v1/changes" "$work/deploy.json" "application/cloudevents+json" >"$work/deploy.answer.json"
post "$url/api/v1/alerts/webhook" "$work/alerts.json" >"$work/alerts.answer.json"

paged() {
    answers "$inbox_url/messages" >"$work/messages.json"
    [[ $(json "$work/messages.json" 'any(m["via"] == "email" and "cell-5" in m["subject"] + m["text"] for m in d["messages"])') == True ]]
}
wait_for 30 "the page" paged || die "nobody was paged by mail: $(cat "$work/messages.json")"
declared() {
    answers "$url/api/v1/incidents" >"$work/incidents.json"
    [[ $(json "$work/incidents.json" 'len(d["data"])') == 1 ]]
}
wait_for 10 "the incident" declared || die "not one incident: $(cat "$work/incidents.json")"
id=$(json "$work/incidents.json" 'd["data"][0]["id"]')
say "incident $id, paged: $(json "$work/messages.json" '"; ".join(m["via"] + " to " + (", ".join(m["to"]) or m["channel"]) + ": " + m["subject"] for m in d["messages"])')"

expected=(cell-5 STD-001 SOU-001 payment-service v1.6.0 "$id")
names "the overview" "$(shown /)" "${expected[@]}"
names "the incident" "$(shown "/incidents/$id")" "${expected[@]}"
# Nothing is counted here: no deploy is held up, and none is said to be well.
names "the gate" "$(shown /gate)" "allowed, unseen" "cell-5" "payment-service" "Policy: "
names "the reports" "$(shown /reports)" "The platform" "Draft" "STD-001"
names "the adjustments" "$(shown /adjustments)" "What does not count"
names "what if" "$(answers "$url/slos/api-availability-30d?cell=cell-5&targets=nine")" "cannot be answered" "api-availability.yaml"
# Alerts: why, where they go, and what a silence would hold back before it is made.
names "the alerts" "$(shown /alerts)" HighErrorRate why "root > {" "pages by" Silences Heartbeats
preview="/silences?matchers=cell%3Dcell-5&comment=disks&for=2h"
names "the preview" "$(shown "$preview")" "It would hold back 2 of the 2 alerts" "P0 among them" "all that fires" HighErrorRate "Nothing is silenced"
csrf=$(answers "$url$preview" | grep -oP 'name="csrf" value="\K[0-9a-f]+' | head -n 1)
silence() { curl --silent --show-error --output /dev/null --write-out '%{http_code}' --max-time 5 "$@"; }
[[ $(silence "$url/silences" --data "csrf=guess&matchers=cell%3Dcell-9&comment=x") == 403 ]] || die "a forged form made a silence"
[[ $(silence "$url/silences" --data "csrf=$csrf&matchers=cell%3Dcell-9%2Cpriority!%3DP0&for=2h&comment=disks") == 303 ]] || die "no silence was made"
names "the silences" "$(shown /silences)" 'cell="cell-9"' disks active "End now" local
names "on-call" "$(shown "/oncall?zone=Africa/Johannesburg&at=2027-01-04T12:00")" "Now and next" "Four weeks, in Africa/Johannesburg" "Gaps of the next 90 days" "decides"
names "the heartbeats" "$(shown /heartbeats)" "Heartbeats" "Came last"
shot alerts /alerts 1280 800
shot alerts-phone /alerts 390 844 "$dark"
shot silences "$preview" 1280 1100
shot silences-phone "$preview" 390 1400
shot oncall "/oncall?zone=Africa/Johannesburg&at=2027-01-04T12:00" 1280 1400
shot oncall-phone "/oncall?zone=Africa/Johannesburg" 390 1400 "$dark"
shot heartbeats /heartbeats 1280 500 "$dark"
shot why "/why/$id" 1280 900
shot overview / 1280 800
shot gate-phone /gate 360 740
shot objective-phone "/slos/api-availability-30d?cell=cell-5" 360 740
shot incident "/incidents/$id" 1280 1600
shot overview-phone / 360 740
shot incident-phone "/incidents/$id" 360 740

# The link of the mail asks and does nothing; a changed one is refused.
link=$(python3 - "$work/messages.json" <<'PY'
import json, re, sys
mails = [m for m in json.load(open(sys.argv[1]))["messages"] if m["via"] == "email"]
links = [link for mail in mails for link in re.findall(r"Acknowledge: (http\S+)", mail["text"])]
print(links[0])
PY
)
names "the link of the mail" "$(shown "${link#"$url"}")" "Acknowledge as" "$id"
shot link-phone "${link#"$url"}" 390 600 "$dark"
[[ $(silence "${link/person=/person=x}") == 403 ]] || die "a link in another's name is believed"
answers "$url/metrics" | grep -q 'mainstay_acknowledgements_refused_total{door="mail",reason="wrong"} 1' || die "what was refused is not counted"
"$mainstay" ack --server "$url" "$id"
[[ $(silence "$url/ack" --data "${link#*\?}") == 303 ]] || die "the button of the link does not answer"
names "the link when somebody was first" "$(shown "${link#"$url"}")" "local was first"
acknowledged() {
    answers "$url/api/v1/incidents/$id" >"$work/incident.json"
    [[ $(json "$work/incident.json" 'any("acknowledged" in e["text"] for e in d["data"]["timeline"])') == True ]]
}
acknowledged || die "the timeline does not tell of the acknowledgement: $(cat "$work/incident.json")"
names "the acknowledged incident" "$(shown "/incidents/$id")" "taken on by local"
shot incident-acknowledged "/incidents/$id" 1280 1600

cp "$work/incident.json" "$work/before.json"
slay "$serve_pid"
serve
acknowledged || die "the acknowledgement did not survive kill -9"
python3 - "$work/before.json" "$work/incident.json" <<'PY' || die "kill -9 changed the incident"
import json, sys
before, after = (json.load(open(name))["data"] for name in sys.argv[1:])
for key in ("id", "severity", "title", "tenants", "started_at"):
    assert before["summary"][key] == after["summary"][key], key
lines = lambda incident: {(entry["at"], entry["text"]) for entry in incident["timeline"]}
assert lines(before) <= lines(after), lines(before) - lines(after)
PY
names "the overview after kill -9" "$(shown /)" "${expected[@]}"
names "the incident after kill -9" "$(shown "/incidents/$id")" "${expected[@]}" "taken on by local"
shot overview-after-kill / 1280 800
"$mainstay" journal verify --server "$url" || die "the journal does not verify"

((missing == 0)) || die "$missing words are missing on the pages"
say "console: ok; screenshots: $(cd "$shots" && printf '%s ' *.png)"
