# shellcheck shell=bash
# What end-to-end scripts and benchmarks share. Source it; it changes to the root of the repository.
#
#   MAINSTAY_BIN   the program to test; without it, cargo builds it

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf '%s\n' "$*" >&2; }
die() {
    say "FAILED: $*"
    exit 1
}

work=$(mktemp -d "${TMPDIR:-/tmp}/mainstay-e2e.XXXXXX")
started=()

# Ends what was started, last first, and shows the logs of a script that failed.
clean_up() {
    local status=$? index
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        kill -TERM "${started[index]}" 2>/dev/null || true
    done
    for index in "${!started[@]}"; do
        wait_for 10 "" gone "${started[index]}" || kill -KILL "${started[index]}" 2>/dev/null || true
    done
    if ((status != 0)); then
        for log in "$work"/*.log; do
            [[ -s $log ]] || continue
            say "--- the end of $(basename "$log")"
            tail -n 20 "$log" >&2
        done
        say "everything that was written is in $work"
    else
        rm -rf "$work"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# Sets `mainstay` to the program: MAINSTAY_BIN, or what cargo builds in the profile $1 (debug or release).
find_mainstay() {
    mainstay=${MAINSTAY_BIN-}
    if [[ -z $mainstay ]]; then
        local flags=()
        [[ $1 == debug ]] || flags=(--release)
        cargo build --locked --quiet -p mainstay "${flags[@]}" </dev/null
        mainstay=$PWD/target/$1/mainstay
    fi
    [[ -x $mainstay ]] || die "$mainstay cannot be run"
}

# Prints $1 ports of the loopback interface that are free now, all different.
free_ports() {
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*[one.getsockname()[1] for one in held])
PY
}

# start NAME COMMAND...: starts it with a standard input that stays open for as long as this script runs; what it says
# goes to $work/NAME.log. Sets `pid`.
mkfifo "$work/open"
exec {held}<>"$work/open"
start() {
    local name=$1
    shift
    "$@" <"$work/open" >>"$work/$name.log" 2>&1 {held}>&- &
    pid=$!
    started+=("$pid")
}

# slay PID: kill -9 of one that was started here, without the shell's obituary.
slay() {
    kill -KILL "$1"
    { wait "$1" || true; } 2>/dev/null
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; fails after that time, in words if WHAT is not empty.
wait_for() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then
            [[ -z $what ]] || say "waited in vain for $what"
            return 1
        fi
        sleep 0.2
    done
}

answers() { curl --silent --show-error --fail --max-time 5 "$1"; }

# post URL FILE [TYPE]: posts a document; prints the answer.
post() {
    curl --silent --show-error --fail-with-body --max-time 15 -H "content-type: ${3:-application/json}" --data-binary "@$2" "$1"
}

# json FILE EXPRESSION: the value of a Python expression over the document `d`.
json() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

# start_inbox NAME: an inbox for mail, chat and telephones; sets smtp_port, inbox_url and, for `mainstay serve`, the environment.
start_inbox() {
    local http_port callbacks
    read -r smtp_port http_port callbacks < <(free_ports 3)
    inbox_url=http://127.0.0.1:$http_port
    export MAINSTAY_SMTP_HOST=127.0.0.1 MAINSTAY_SMTP_PORT=$smtp_port MAINSTAY_CHAT_URL=$inbox_url/chat
    export MAINSTAY_TELEPHONE_ACCOUNT=ACtest MAINSTAY_TELEPHONE_TOKEN=test MAINSTAY_TELEPHONE_URL=$inbox_url
    export MAINSTAY_TELEPHONE_CALLBACK_URL=http://127.0.0.1:$callbacks MAINSTAY_TELEPHONE_CALLBACK_LISTEN=127.0.0.1:$callbacks
    start inbox "$mainstay" inbox --smtp "127.0.0.1:$smtp_port" --http "127.0.0.1:$http_port" --file "$work/inbox.jsonl"
    wait_for 20 "the inbox" answers "$inbox_url/healthz" || die "the inbox does not answer"
}
