"""A scripted pair of payment-service pods, for rule evaluators to scrape side by side.

    exporter.py POD_A_PORT POD_B_PORT TIME_SCALE

Both pods live in this process. POD_A_PORT also answers `/targets` (Prometheus HTTP service discovery) and `/script` (the
phases, with their instants). The script below is in seconds of a run of 15 minutes; TIME_SCALE shortens all of it.
What is exposed depends only on the time since the start: both scrapers see the same curves.
"""

import http.server
import json
import sys
import threading
import time

# (what, from second, to second)
SCRIPT = [
    ("memory", 30, 780),
    ("errors", 90, 330),
    ("slow", 90, 420),
    ("pool", 90, 510),
    ("breaker", 120, 570),
    ("hung", 240, 480),  # pod b takes connections and never answers
    ("flood", 510, 900),  # so much good traffic that the 30-day ratio is whole again
    ("refused", 570, 800),  # pod b answers 503
]
LENGTH_S = 900
# All is well for so long before the script, while those who scrape start.
LEAD_S = 10
BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0)

port_a, port_b, scale = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
born = time.time()
start = born + LEAD_S
PHASES = {what: (start + begin * scale, start + end * scale) for what, begin, end in SCRIPT}
PER_SECOND = 100 / scale
FLOOD_PER_SECOND = 2_000_000 / scale


def on(what, now):
    begin, end = PHASES[what]
    return begin <= now < end


def lasted(what, now):
    """For how many seconds a phase has lasted until now."""
    begin, end = PHASES[what]
    return max(0.0, min(now, end) - begin)


def exposition(now):
    # Each count grows by itself, rounded by itself: a difference of two rounded ones would step back now and then.
    whole = lambda count: int(count + 0.01)
    errors = whole(lasted("errors", now) * PER_SECOND * 0.2)
    flood = whole(lasted("flood", now) * FLOOD_PER_SECOND)
    slow = whole(lasted("slow", now) * PER_SECOND)
    good = whole((now - born - 0.2 * lasted("errors", now)) * PER_SECOND) + flood
    fast = whole((now - born - lasted("slow", now)) * PER_SECOND) + flood
    lines = [
        "# TYPE http_requests_total counter",
        f'http_requests_total{{method="POST",route="/v1/payments",status="202"}} {good}',
        f'http_requests_total{{method="POST",route="/v1/payments",status="503"}} {errors}',
        "# TYPE http_request_duration_seconds histogram",
    ]
    for bound in BUCKETS:
        below = fast if bound < 0.5 else fast + slow
        lines.append(f'http_request_duration_seconds_bucket{{le="{bound}"}} {below}')
    lines += [
        f'http_request_duration_seconds_bucket{{le="+Inf"}} {fast + slow}',
        f"http_request_duration_seconds_sum {fast * 0.03 + slow * 0.4}",
        f"http_request_duration_seconds_count {fast + slow}",
        "# TYPE hikaricp_connections_active gauge",
        f'hikaricp_connections_active{{pool="payment-service"}} {19 if on("pool", now) else 4}',
        "# TYPE hikaricp_connections_max gauge",
        'hikaricp_connections_max{pool="payment-service"} 20',
        "# TYPE container_memory_usage_bytes gauge",
        f'container_memory_usage_bytes{{pod="payment-service-a"}} {950e6 if on("memory", now) else 400e6:.0f}',
        "# TYPE container_spec_memory_limit_bytes gauge",
        'container_spec_memory_limit_bytes{pod="payment-service-a"} 1000000000',
        "# TYPE resilience4j_circuitbreaker_state gauge",
        f'resilience4j_circuitbreaker_state{{name="fraud-service",state="open"}} {int(on("breaker", now))}',
        f'resilience4j_circuitbreaker_state{{name="fraud-service",state="closed"}} {int(not on("breaker", now))}',
    ]
    return "\n".join(lines) + "\n"


class Pod(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body, kind):
        content = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        now = time.time()
        kind = "text/plain; version=0.0.4"
        if self.path == "/targets":
            group = lambda pod, port: {"targets": [f"127.0.0.1:{port}"], "labels": {"job": "payment-service", "cell": "cell-1", "pod_name": pod}}
            groups = [group("payment-service-a", port_a), group("payment-service-b", port_b)]
            self.answer(200, json.dumps(groups), "application/json")
        elif self.path == "/script":
            self.answer(200, json.dumps({"start": start, "end": start + LENGTH_S * scale, "phases": PHASES}), "application/json")
        elif self.server.server_port == port_a:
            self.answer(200, exposition(now), kind)
        elif on("hung", now):
            time.sleep(30)
            self.close_connection = True
        elif on("refused", now):
            self.answer(503, "shutting down\n", kind)
        else:
            self.answer(200, "# TYPE build_info gauge\nbuild_info 1\n", kind)

    def log_message(self, *_):
        pass


servers = [http.server.ThreadingHTTPServer(("127.0.0.1", port), Pod) for port in (port_a, port_b)]
for server in servers:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
