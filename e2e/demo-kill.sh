#!/usr/bin/env bash
# kill -9 in the live demo: of `serve` at five random moments, each time with a pod that is not a gateway (no page lost, none
# repeated without a label, counts at the gateways equal to the integer, what died in the pods bounded, every chain whole),
# then of the demo itself (nothing is left behind, the next start opens the same data).
# Full tier only. MAINSTAY_SEED decides on the moments.
# needs: python3:python3 curl:curl
if [[ ${MAINSTAY_FULL-} != 1 ]]; then
    echo "demo-kill: skipped, it takes 10 minutes; ./test full runs it" >&2
    exit 0
fi
# shellcheck source-path=SCRIPTDIR source=harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/harness/mainstay.sh"
find_mainstay release
seed=${MAINSTAY_SEED:-$RANDOM}
read -r port < <(free_ports 1)
url=http://127.0.0.1:$port

# demo NAME: starts the demo; sets demo_pid.
demo() {
    start "$1" "$mainstay" demo --data "$work/demo" --listen "127.0.0.1:$port"
    demo_pid=$pid
}
children() { cat /proc/"$1"/task/*/children 2>/dev/null || true; }
# family PID: the process and all under it.
family() {
    local child
    echo "$1"
    for child in $(children "$1"); do family "$child"; done
}
# serve_of PID: the control plane among the children of a demo.
serve_of() {
    local child
    for child in $(children "$1"); do
        if [[ $(command_line "$child") == *" serve "* ]]; then
            echo "$child"
            return
        fi
    done
    return 1
}
# The command line of a process; nothing if it has ended by now.
command_line() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null || true; }
# a_pod PID NUMBER: one of the pods under a demo, gateways aside.
a_pod() {
    local child pods=()
    for child in $(family "$1"); do
        case $(command_line "$child") in
            *" payd gateway "* | *" payd supervisor "* | *" payd loadgen "*) ;;
            *" payd "*) pods+=("$child") ;;
        esac
    done
    ((${#pods[@]})) && echo "${pods[$2 % ${#pods[@]}]}"
}
told() { grep -qF "$2" "$work/$1.log"; }
tell() { sed 's/^/  | /' "$work/$1.log" >&2; }

demo first
wait_for 240 "traffic" told first "traffic flows" || { tell first; die "no traffic"; }
# Three moments between the release and the rollback, when most happens; two in the minutes of recovery.
moments=$(python3 -c 'import random, sys
dice = random.Random(int(sys.argv[1]))
print(*sorted(dice.sample(range(28, 60), 3) + dice.sample(range(60, 340), 2)))' "$seed")
say "seed $seed: serve is killed $moments seconds after traffic began"
SECONDS=0
kills=0
for moment in $moments; do
    while ((SECONDS < moment)) && ! gone "$demo_pid"; do sleep 0.1; done
    if gone "$demo_pid"; then break; fi
    wait_for 30 "a serve to kill" serve_of "$demo_pid" || { tell first; die "the demo did not start serve again"; }
    victim=$(serve_of "$demo_pid")
    pod=$(a_pod "$demo_pid" $((seed + moment))) || die "there is no pod to kill"
    what=$(command_line "$pod" | sed 's/.* payd \([a-z]*\) .*/\1/')
    kill -KILL "$victim" "$pod"
    kills=$((kills + 1))
    say "killed serve ($victim) and a pod of $what ($pod) after $SECONDS s"
done
wait_for 1200 "the end of the demo" gone "$demo_pid" || { tell first; die "the demo does not end"; }
tell first
ended=0
wait "$demo_pid" || ended=$?
((ended == 0)) || die "the demo ended with status $ended"
((kills == 5)) || die "the demo ended after $kills of 5 kills"
for line in "page delivered" "resolved" "post-mortem drafted" "agree to the integer"; do
    told first "$line" || die "the demo did not say \"$line\""
done
restarts=$(grep -cF "the control plane died and was started again" "$work/first.log")
((restarts == kills)) || die "$kills kills, but $restarts restarts were told"

python3 - "$work/demo/inbox.jsonl" <<'PY' || die "the inbox holds what it should not"
import json, sys
seen, repeated, wrong = set(), 0, 0
messages = [json.loads(line) for line in open(sys.argv[1])]
for message in messages:
    key = (message["via"], message["message_id"])
    assert message["message_id"], f"a message without an id: {message['subject']}"
    if key in seen:
        repeated += 1
        if not message["labelled_duplicate"]:
            wrong += 1
            print("sent twice without a label:", message["via"], message["message_id"], message["subject"])
    seen.add(key)
pages = [message for message in messages if message["via"] == "email"]
print(f"inbox: {len(messages)} messages, {len(pages)} of them mails, {repeated} repeated, {wrong} of these without a label")
sys.exit(bool(wrong) or not pages)
PY

"$mainstay" journal verify "$work/demo/mainstay/journal" || die "the journal does not verify"
incident=$(sed -n 's/.*incident \([0-9-]*\) declared.*/\1/p' "$work/first.log")
[[ -n $incident ]] || die "the demo named no incident"

say "kill -9 of the demo itself"
demo second
wait_for 240 "traffic" told second "traffic flows" || { tell second; die "the demo does not open its own data again"; }
mapfile -t everybody < <(family "$demo_pid")
((${#everybody[@]} > 15)) || die "only ${#everybody[@]} processes: that is no platform"
slay "$demo_pid"
nobody_left() {
    local one
    for one in "${everybody[@]}"; do gone "$one" || return 1; done
}
wait_for 30 "the end of all children" nobody_left || {
    for one in "${everybody[@]}"; do gone "$one" || command_line "$one" >&2; done
    die "kill -9 of the demo left these processes behind"
}
say "all ${#everybody[@]} processes are gone"
demo third
wait_for 240 "traffic" told third "traffic flows" || { tell third; die "the demo does not start after kill -9"; }
answers "$url/api/v1/incidents/$incident" >/dev/null || die "incident $incident is not there any more"
answers "$url/api/v1/slos" >"$work/slos.json"
doubt=$(json "$work/slos.json" 'next((s["doubt"] or "" for s in d["data"] if s["id"] == "payment-service-availability" and not s["group"]), "")')
say "payment-service, as its pods counted: $doubt"
[[ $doubt == *"ended between two reads: at most "* ]] || die "what died in the pods is not in doubt"
kill -INT "$demo_pid"
wait_for 60 "the end of the demo" gone "$demo_pid" || die "the demo does not end when asked to"
say "demo-kill: ok (seed $seed)"
