#!/usr/bin/env bash
# How long a page takes, from the alert that a client tells, and from the first evaluation at which a rule fires, to the
# message at its receiver: P0 when all is calm, and P0 inside a storm of 2,000 P3 whose receiver is slow and throttled.
# Prints p50, p99 and max; fails above 5 s and 10 s.
# usage: bench/paging.sh [SEED]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
MAINSTAY_FULL=1 MAINSTAY_SEED=${1:-1} cargo test --release -p mainstay --test it -- \
    --nocapture --test-threads 1 storm::latency
