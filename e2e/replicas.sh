#!/usr/bin/env bash
# From one server to two over PostgreSQL: the journal of one binary is copied with the same hashes, a replica stands by while the
# other leads, takes over after kill -9 and after SIGSTOP, knows the incident, and pages nobody twice; the one that was stopped
# is refused when it goes on, and ends. A backup goes on in another database. No log and no page has the password of the database.
# needs: python3:python3 curl:curl setpriv:util-linux pg_lsclusters:postgresql
# shellcheck source-path=SCRIPTDIR source=harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/harness/mainstay.sh"
bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
if [[ ! -x $bin/initdb ]]; then
    say "replicas: not run, there is no PostgreSQL"
    exit 0
fi
find_mainstay debug
start_inbox
# Two servers on one machine cannot both have one address for callbacks.
export MAINSTAY_TELEPHONE_CALLBACK_LISTEN=127.0.0.1:0
read -r port1 port2 < <(free_ports 2)
url1=http://127.0.0.1:$port1 url2=http://127.0.0.1:$port2

# PostgreSQL refuses root, and whoever it runs as cannot look into what belongs to root alone.
pg=$(mktemp -d /tmp/mainstay-pg.XXXXXX)
trap 'clean_up; rm -rf "$pg"' EXIT
as_user=(setpriv --pdeathsig KILL)
if ((EUID == 0)); then
    user=$(id -u postgres 2>/dev/null || echo 65534)
    chown "$user:$user" "$pg"
    as_user+=("--reuid=$user" "--regid=$user" --clear-groups)
fi
(cd / && "${as_user[@]}" "$bin/initdb" -D "$pg/data" -U mainstay -A trust -E UTF8 --locale=C --no-sync) >"$work/initdb.log"
start postgres "${as_user[@]}" "$bin/postgres" -D "$pg/data" -c listen_addresses= -c "unix_socket_directories=$pg"
wait_for 30 "PostgreSQL" "$bin/pg_isready" -q -h "$pg" || die "PostgreSQL does not start"
secret=word-of-the-database
database="postgres://mainstay:$secret@localhost/postgres?host=$pg&sslmode=disable"

# serve NUMBER PORT: a server on its own data directory; sets `pid`.
serve() {
    start "serve-$1" "$mainstay" serve --exit-with-parent --data "$work/data-$1" --catalog catalogs/payments \
        --listen "127.0.0.1:$2" --inbox "$inbox_url"
}
says() { grep -qF -- "$2" "$work/serve-$1.log"; }
# incident URL: the number of the only incident.
incident() {
    answers "$1/api/v1/incidents" >"$work/incidents.json"
    [[ $(json "$work/incidents.json" 'len(d["data"])') == 1 ]] && json "$work/incidents.json" 'd["data"][0]["id"]'
}
mails() {
    answers "$inbox_url/messages" >"$work/messages.json"
    json "$work/messages.json" 'len([m for m in d["messages"] if m["via"] == "email" and "Payments are failing" in m["subject"] + m["text"] and "repetition" not in m["text"]])'
}
paged() { (($(mails) > 0)); }

say "one server, SQLite: an incident and a page"
serve 1 "$port1"
first=$pid
wait_for 60 "the console" answers "$url1/healthz" || die "the console does not answer"
cat >"$work/alerts.json" <<JSON
{"version": "4", "groupKey": "{}:{cell=\"cell-5\"}", "truncatedAlerts": 0, "status": "firing", "receiver": "mainstay",
 "groupLabels": {"cell": "cell-5"}, "commonLabels": {"cell": "cell-5"}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example",
 "alerts": [{"status": "firing", "labels": {"alertname": "HighErrorRate", "priority": "P0", "severity": "critical",
   "service": "payment-service", "cell": "cell-5", "tenant": "STD-001"},
   "annotations": {"summary": "Payments are failing"}, "startsAt": "$(date -u -d '1 minute ago' +%Y-%m-%dT%H:%M:%SZ)",
   "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example/graph", "fingerprint": "0000000000000001"}]}
JSON
post "$url1/api/v1/alerts/webhook" "$work/alerts.json" >/dev/null
wait_for 30 "the incident" incident "$url1" || die "no incident"
id=$(incident "$url1")
wait_for 30 "the page" paged || die "nobody was paged: $(cat "$work/messages.json")"
kill -TERM "$first"
wait_for 20 "the end of the server" gone "$first" || die "the server does not stop"

say "its journal goes to PostgreSQL"
"$mainstay" journal verify "$work/data-1/journal" -o json >"$work/before.json"
MAINSTAY_DATABASE_URL=$database "$mainstay" journal migrate --data "$work/data-1" -o json >"$work/migrated.json" || die "it was not copied"
"$mainstay" journal verify --database-url "$database" -o json >"$work/after.json" || die "the copy does not verify"
cmp "$work/before.json" "$work/migrated.json" || die "the copy has other chains"
cmp "$work/before.json" "$work/after.json" || die "the copy has other chains"
[[ $(json "$work/after.json" 'sum(p["events"] for p in d["partitions"]) > 0') == True ]] || die "nothing was copied"
if "$mainstay" journal migrate --data "$work/data-1" --to "$database" 2>"$work/again.log"; then die "a journal was copied over a journal"; fi
grep -q empty "$work/again.log" || die "it does not say why: $(cat "$work/again.log")"

export MAINSTAY_DATABASE_URL=$database
say "two replicas: one leads, one stands by"
serve 1 "$port1"
first=$pid
wait_for 60 "the first replica" answers "$url1/healthz" || die "the first replica does not answer"
[[ $(incident "$url1") == "$id" ]] || die "the incident is another one: $(cat "$work/incidents.json")"
serve 2 "$port2"
second=$pid
wait_for 30 "the second to stand by" says 2 "this replica stands by" || die "the second does not stand by"
if answers "$url2/healthz" >/dev/null 2>&1; then die "the second listens while the first leads"; fi
answers "$url1/api/v1/status/flags" >"$work/flags.json" || true

say "kill -9 of the leader"
pages=$(mails)
slay "$first"
wait_for 45 "the second to lead" answers "$url2/healthz" || die "the second does not take over"
[[ $(incident "$url2") == "$id" ]] || die "the second does not know the incident: $(cat "$work/incidents.json")"
"$mainstay" ack --server "$url2" "$id" || die "the page cannot be acknowledged"

say "SIGSTOP of the leader"
serve 1 "$port1"
first=$pid
kill -STOP "$second"
wait_for 60 "the first to lead again" answers "$url1/healthz" || die "the first does not take over"
kill -CONT "$second"
wait_for 60 "the end of the one that was stopped" gone "$second" || die "two lead"
says 2 "another process leads" || die "the second does not say why it ended"
[[ $(incident "$url1") == "$id" ]] || die "the incident is another one: $(cat "$work/incidents.json")"
[[ $(mails) == "$pages" ]] || die "somebody was paged twice: $(cat "$work/messages.json")"
"$mainstay" journal verify --server "$url1" || die "the journal does not verify"

say "a backup of the leader goes on in another database"
backup=$("$mainstay" backup --server "$url1") || die "no backup over PostgreSQL"
"$mainstay" journal verify --server "$url1" -o json >"$work/before.json"
if "$mainstay" restore "$backup" --data "$work/data-3" 2>"$work/over.log"; then die "a restore over a journal"; fi
grep -q empty "$work/over.log" || die "it does not say why: $(cat "$work/over.log")"
[[ ! -e $work/data-3 ]] || die "something was put in place"
(cd / && "${as_user[@]}" "$bin/createdb" -h "$pg" -U mainstay elsewhere)
elsewhere="postgres://mainstay:$secret@localhost/elsewhere?host=$pg&sslmode=disable"
MAINSTAY_DATABASE_URL=$elsewhere "$mainstay" restore "$backup" --data "$work/data-3" || die "it is not restored"
"$mainstay" journal verify --database-url "$elsewhere" -o json >"$work/after.json" || die "the restored journal does not verify"
cmp "$work/before.json" "$work/after.json" || die "the restored journal has other chains"
(
    export MAINSTAY_DATABASE_URL=$elsewhere
    serve 3 "$port2"
    wait_for 60 "the restored server" answers "$url2/healthz" || die "the restored server does not answer"
    [[ $(incident "$url2") == "$id" ]] || die "it does not know the incident: $(cat "$work/incidents.json")"
    "$mainstay" change list --server "$url2" | grep -q "restored from its backup" || die "its journal does not say that it was restored"
    kill -TERM "$pid"
    wait_for 20 "its end" gone "$pid" || die "it does not stop"
)

say "no password anywhere"
kill -TERM "$first"
wait_for 20 "the end of the server" gone "$first" || die "the server does not stop"
if grep -rlF "$secret" "$work" --include='*.log' --include='*.json'; then die "the password of the database was written there"; fi
grep -qF localhost/postgres "$work/flags.json" || die "the flags do not say which database: $(cat "$work/flags.json")"
say "replicas: ok"
