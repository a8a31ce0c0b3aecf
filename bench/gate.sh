#!/usr/bin/env bash
# How long an answer of the gate takes over HTTP, its commit in the journal included, with few groups and with 10,000.
#
#   bench/gate.sh [ANSWERS]     how many answers are timed at each size, 2,000 if nothing is said
#
# Serves the payments catalog, sends counters of 10 cells and 1, then 1,000 tenants, and goes on sending them while it asks.
# Exit status 1 if 99 of 100 answers are not given within 5 ms at 10,000 groups. PROFILE=debug measures a debug build.
# needs: python3:python3
# shellcheck source-path=SCRIPTDIR source=../e2e/harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/harness/mainstay.sh"
find_mainstay "${PROFILE:-release}"
answers=${1:-2000}
read -r port < <(free_ports 1)
export MAINSTAY_SMTP_HOST=127.0.0.1 MAINSTAY_SMTP_PORT=9 MAINSTAY_CHAT_URL=http://127.0.0.1:9/chat
export MAINSTAY_TELEPHONE_ACCOUNT=AC MAINSTAY_TELEPHONE_TOKEN=t MAINSTAY_TELEPHONE_URL=http://127.0.0.1:9
export MAINSTAY_TELEPHONE_CALLBACK_URL=http://127.0.0.1:9 MAINSTAY_TELEPHONE_CALLBACK_LISTEN=127.0.0.1:0
start serve "$mainstay" serve --catalog catalogs/payments --data "$work/data" --listen "127.0.0.1:$port"
listening() { grep -q "mainstay listens on" "$work/serve.log"; }
wait_for 60 "the server" listening || die "it does not listen"

python3 - "$port" "$answers" <<'PY' && result=0 || result=$?
import http.client, json, sys, threading, time

port, answers = int(sys.argv[1]), int(sys.argv[2])
CELLS = [f"cell-{n}" for n in range(1, 11)]
SERVICES = ["fraud-service", "payment-service", "clearing-adapter", "validation-service"]
LIMIT_MS = 5.0


def attribute(key, value):
    return {"key": key, "value": {"stringValue": value}}


def export(connection, tenants, count):
    """One reading of every counter, in requests of 100 tenants."""
    now = str(time.time_ns())
    for first in range(0, len(tenants), 100):
        points = [
            {"timeUnixNano": now, "asInt": str(value),
             "attributes": [attribute("tenant", tenant), attribute("cell", cell), attribute("status", status)]}
            for tenant in tenants[first:first + 100]
            for cell in CELLS
            for status, value in (("200", count * 1000), ("503", count // 100))
        ]
        metric = {"name": "http.requests", "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": points}}
        body = {"resourceMetrics": [{"resource": {"attributes": [attribute("service.name", "api-gateway")]},
                                     "scopeMetrics": [{"metrics": [metric]}]}]}
        connection.request("POST", "/api/v1/otlp/v1/metrics", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200 and b"rejected" not in text, (answer.status, text[:300])


def keep_sending(tenants, stopped):
    connection, count = http.client.HTTPConnection("127.0.0.1", port), 2
    while not stopped.wait(10):
        export(connection, tenants, count)
        count += 1


def timed(connection, method, path, body):
    """How long an answer took in milliseconds, and its data."""
    begun = time.perf_counter()
    body = None if body is None else json.dumps(body)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = json.loads(answer.read())
    assert answer.status == 200, data
    return (time.perf_counter() - begun) * 1000, data["data"]


def measure(tenants):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    export(connection, tenants, 0)
    export(connection, tenants, 1)
    time.sleep(12)  # Two evaluations know every group.
    stopped = threading.Event()
    sender = threading.Thread(target=keep_sending, args=(tenants, stopped))
    sender.start()
    floor, took = [], []
    for n in range(answers + 50):
        floor.append(timed(connection, "GET", "/api/v1/signing-key", None)[0])
        question = {"service": SERVICES[n % len(SERVICES)], "cell": CELLS[n % len(CELLS)], "version": f"v{n}"}
        ms, data = timed(connection, "POST", "/api/v1/gate/deploy", question)
        assert data["answer"]["budgets"][0]["total"] > 0, data
        took.append(ms)
        time.sleep(0.002)
    stopped.set()
    sender.join()
    groups = len(tenants) * len(CELLS)
    floor, took = sorted(floor[50:]), sorted(took[50:])
    at = lambda times, share: times[min(int(len(times) * share), len(times) - 1)]
    words = lambda times: f"p50 {at(times, .5):.2f} ms, p99 {at(times, .99):.2f} ms, most {times[-1]:.2f} ms"
    print(f"{groups:>6} groups, {len(took)} answers: {words(took)}; an answer that asks nobody and writes nothing: {words(floor)}")
    return at(took, .99)


measure(["std-001"])
p99 = measure([f"bank-{n:04}" for n in range(1000)])
sys.exit(p99 > LIMIT_MS)
PY
journal() { "$mainstay" journal verify --server "http://127.0.0.1:$port" >"$work/verify.txt"; }
journal || die "the journal is not whole"
tail -n 3 "$work/verify.txt" >&2
exit "$result"
