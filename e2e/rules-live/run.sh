# shellcheck shell=bash
# One live run of the specification's rules by Mainstay beside a Debian Prometheus, against one scripted exporter.
# `run_live SCALE SCRAPE_S EVALUATE_S PROFILE`: the script's 15 minutes, the rules' windows and their `for` times SCALE.
# shellcheck source-path=SCRIPTDIR source=../harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/../harness/mainstay.sh"
here=e2e/rules-live

run_live() {
    local scale=$1 scrape=$2 evaluate=$3 profile=$4 exporter_port pod_port prometheus_port port
    find_mainstay "$profile"
    read -r exporter_port pod_port prometheus_port port < <(free_ports 4)
    cp -r "$here/catalog" "$work/catalog"
    local rules=$work/catalog/rules.yml
    # Windows but the 30 days, and `for`, get shorter; the text is the specification's otherwise.
    python3 - catalogs/payments/compat/specification-rules.yml "$scale" "$evaluate" >"$rules" <<'PY'
import re, sys
text, scale, evaluate = open(sys.argv[1]).read(), float(sys.argv[2]), int(sys.argv[3])
if scale != 1:
    whole = lambda minutes: f"{max(evaluate, round(int(minutes) * 60 * scale))}s"
    text = re.sub(r"\[(\d+)m\]", lambda found: f"[{whole(found[1])}]", text)
    text = re.sub(r"for: (\d+)m", lambda found: f"for: {whole(found[1])}", text)
text = text.replace("interval: 30s", f"interval: {evaluate}s")
sys.stdout.write(text)
PY
    if [[ $scale == 1 ]]; then cmp "$rules" catalogs/payments/compat/specification-rules.yml; fi
    cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: ${scrape}s, scrape_timeout: $((scrape < 10 ? scrape : 10))s}
rule_files: [$rules]
scrape_configs:
  - job_name: payment-service
    http_sd_configs: [{url: "http://127.0.0.1:$exporter_port/targets", refresh_interval: 5s}]
YAML
    start_inbox
    start exporter python3 "$here/exporter.py" "$exporter_port" "$pod_port" "$scale"
    wait_for 10 "the exporter" answers "http://127.0.0.1:$exporter_port/script" || die "the exporter does not answer"
    start prometheus prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/prometheus" \
        --web.listen-address="127.0.0.1:$prometheus_port" --log.level=warn
    start serve "$mainstay" serve --exit-with-parent --data "$work/data" --catalog "$work/catalog" --listen "127.0.0.1:$port" \
        --targets-url "http://127.0.0.1:$exporter_port/targets" --scrape-interval-s "$scrape"
    wait_for 60 "Prometheus" answers "http://127.0.0.1:$prometheus_port/-/ready" || die "Prometheus is not ready"
    wait_for 60 "the console" answers "http://127.0.0.1:$port/healthz" || die "the console does not answer"

    local end now
    answers "http://127.0.0.1:$exporter_port/script" >"$work/script.json"
    end=$(json "$work/script.json" 'int(d["end"]) + 1')
    say "the script runs for $((end - $(date +%s))) s"
    while now=$(date +%s) && ((now <= end)); do
        sleep $((end - now < 15 ? end - now + 1 : 15))
        if gone "$pid"; then die "serve ended"; fi
    done
    python3 "$here/compare.py" "http://127.0.0.1:$exporter_port" "http://127.0.0.1:$prometheus_port" "http://127.0.0.1:$port" \
        "$rules" $((scrape + evaluate)) || die "the two do not agree"
}
