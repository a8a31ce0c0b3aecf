#!/usr/bin/env bash
# What samples, 30-day queries and rules cost Mainstay, Debian's Prometheus and Debian's VictoriaMetrics: the same streams
# into each, one after another, and a table.
#
#   bench/metrics-engine.sh [A|B|C|rules|Mainstay|Prometheus|VictoriaMetrics]...    only these parts and engines
#
# CPU time of the engine's process is what counts. All of it takes about half an hour. The streams are described in
# crates/mainstay-bench/src/stream.rs.
# needs: prometheus:prometheus victoria-metrics:victoria-metrics
# shellcheck source-path=SCRIPTDIR source=../e2e/harness/mainstay.sh
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/harness/mainstay.sh"
find_mainstay release
cargo build --quiet --release --package mainstay-bench
dpkg-query --show --showformat '${Package} ${Version}\n' prometheus victoria-metrics 2>/dev/null || true
exec target/release/mainstay-bench "$mainstay" "$@"
