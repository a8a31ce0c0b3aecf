#!/usr/bin/env bash
# From one release to the next and back, under a storm of alerts: whoever sent an alert and was told that it is taken finds
# it firing after the upgrade, after the downgrade, and after the second upgrade. Where the older release cannot read what
# the newer one wrote, it says so before it writes anything, and `mainstay journal downgrade` is the way back.
#
#   MAINSTAY_OLD         the older program; without it, one is built from MAINSTAY_OLD_COMMIT
#   MAINSTAY_OLD_COMMIT  the tag before this commit, or the commit before it, if nothing is said; its catalog is used, for
#                        an older program refuses what it does not know
#   MAINSTAY_BIN         the newer program; without it, cargo builds it
#   MAINSTAY_FULL        1: 10,000 alerts; else 600, and nothing but MAINSTAY_OLD is taken for the older program
# needs: python3:python3 curl:curl git:git
# shellcheck source-path=SCRIPTDIR source=harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/harness/mainstay.sh"
full=${MAINSTAY_FULL:-0}
count=600
[[ $full == 1 ]] && count=10000
old=${MAINSTAY_OLD-}
commit=${MAINSTAY_OLD_COMMIT-}
if [[ -z $old && -z $commit ]]; then
    if [[ $full != 1 ]]; then
        say "upgrade: not run; MAINSTAY_OLD or MAINSTAY_OLD_COMMIT names the release before, and at full count it is built"
        exit 0
    fi
    commit=$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null || git rev-parse HEAD^)
fi
find_mainstay debug
new=$mainstay
catalog=$work/catalog
mkdir "$catalog"
if [[ -n $commit ]]; then
    git archive "$commit" catalogs/payments | tar -x -C "$catalog" --strip-components 2
else
    cp -r catalogs/payments/. "$catalog"
fi
if [[ -z $old ]]; then
    tree=$work/old-tree
    git worktree add --quiet --detach "$tree" "$commit"
    # shellcheck disable=SC2064 # the values of now are meant
    trap "clean_up; git worktree remove --force '$tree' 2>/dev/null || true" EXIT
    say "upgrade: building $(git rev-parse --short "$commit")"
    (cd "$tree" && CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} cargo build --locked --quiet -p mainstay </dev/null)
    cp "${CARGO_TARGET_DIR:-$tree/target}/debug/mainstay" "$work/old"
    old=$work/old
    if [[ -z ${MAINSTAY_BIN-} && -n ${CARGO_TARGET_DIR-} ]]; then
        cargo build --locked --quiet -p mainstay </dev/null
        new=$CARGO_TARGET_DIR/debug/mainstay
    fi
fi
start_inbox
read -r port < <(free_ports 1)
url=http://127.0.0.1:$port
data=$work/data

# storm FROM TO: posts alerts one batch after the other, each until it is taken, as every sender does; whoever serves.
storm() {
    python3 - "$url" "$1" "$2" <<'PY'
import json, sys, time, urllib.request
url, begin, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BATCH = 20
tried, number = 0, begin
while number < end:
    alerts = [{"labels": {"alertname": f"Storm{n // 50}", "number": str(n), "cell": f"cell-{n % 9 + 1}",
                          "priority": "P1" if n % 50 == 0 else "P2"}}
              for n in range(number, min(number + BATCH, end))]
    body = json.dumps(alerts).encode()
    request = urllib.request.Request(url + "/api/v2/alerts", body, {"content-type": "application/json"})
    tried += 1
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200
        number += BATCH
    except Exception as error:  # away, or starting
        if isinstance(error, urllib.error.HTTPError) and error.code < 500:
            sys.exit(f"refused: {error.read()}")
        time.sleep(0.05)
print(f"{end - begin} alerts in {tried} attempts")
PY
}
# firing TO: how many of the first TO alerts fire. Releases before Alertmanager's API was whole are asked by their own.
firing() {
    curl --silent --fail --max-time 120 "$url/api/v2/alerts" >"$work/alerts.json" \
        || curl --silent --show-error --fail --max-time 120 "$url/api/v1/alerts/all" >"$work/alerts.json"
    python3 - "$work/alerts.json" "$1" <<'PY'
import re, sys
found = {int(n) for n in re.findall(r'"number"\s*:\s*"(\d+)"', open(sys.argv[1]).read())}
print(sum(1 for n in found if n < int(sys.argv[2])))
PY
}
all_fire() {
    local found
    found=$(firing "$1")
    [[ $found == "$1" ]] || die "$2: $found of $1 alerts fire"
    say "upgrade: $2: all $1 alerts fire"
}
# serve NAME PROGRAM: sets `pid`.
serve() {
    start "$1" "$2" serve --exit-with-parent --data "$data" --catalog "$catalog" --listen "127.0.0.1:$port"
    serving=$pid
}
ready() { wait_for 60 "$1" answers "$url/healthz" || die "$1 does not start"; }
end() {
    kill -TERM "$serving"
    wait_for 30 "its end" gone "$serving" || die "it does not end"
}
verify() {
    "$1" journal verify "$data/journal" >/dev/null 2>"$work/verify.txt" || { cat "$work/verify.txt" >&2; die "the chains are broken under $2"; }
}
third=$((count / 3))

say "upgrade: $("$old" --version) ($(sha256sum "$old" | cut -c1-8)) and $("$new" --version) ($(sha256sum "$new" | cut -c1-8))"
serve old-1 "$old"
ready "the old one"
storm 0 "$third"

# Up, while alerts come in.
storm "$third" $((2 * third)) >"$work/storm.txt" &
sender=$!
sleep 0.3
since=$SECONDS
end
serve new-1 "$new"
ready "the new one"
say "upgrade: away for $((SECONDS - since)) s"
wait "$sender" || die "alerts were refused"
cat "$work/storm.txt" >&2
all_fire $((2 * third)) "after the upgrade"

# Down, while alerts come in.
storm $((2 * third)) $((3 * third)) >"$work/storm.txt" &
sender=$!
sleep 0.3
end
before=$(sha256sum "$data/journal/journal.db")
serve old-2 "$old"
refused() { gone "$serving" || answers "$url/healthz"; }
wait_for 60 "the old one" refused || die "the old one neither starts nor ends"
if gone "$serving"; then
    grep -q "format" "$work/old-2.log" || die "it ends without words about the format"
    say "upgrade: the old one refuses: $(tail -n 1 "$work/old-2.log")"
    [[ $(sha256sum "$data/journal/journal.db") == "$before" ]] || die "it wrote into what it cannot read"
    format=$(grep -o 'reads up to [0-9]*' "$work/old-2.log" | grep -o '[0-9]*' | tail -n 1)
    "$new" journal downgrade --data "$data" --format "$format" >&2
    serve old-3 "$old"
    ready "the old one, after the way back"
fi
wait "$sender" || die "alerts were refused"
cat "$work/storm.txt" >&2
all_fire $((3 * third)) "after the downgrade"
end
verify "$old" "the old one"

# And up again.
serve new-2 "$new"
ready "the new one"
all_fire $((3 * third)) "after the second upgrade"
end
verify "$new" "the new one"
say "upgrade: ok, $((3 * third)) alerts, 0 lost"
