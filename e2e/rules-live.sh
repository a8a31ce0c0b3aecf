#!/usr/bin/env bash
# Fifteen minutes beside a real Prometheus: the specification's seven rules, byte for byte, fire and resolve at the same
# time in both, give or take one evaluation and one scrape. Full tier only.
# needs: python3:python3 curl:curl prometheus:prometheus
if [[ ${MAINSTAY_FULL-} != 1 ]]; then
    echo "rules-live: skipped, it takes 15 minutes; ./test full runs it" >&2
    exit 0
fi
# shellcheck source-path=SCRIPTDIR source=rules-live/run.sh
source "$(dirname "${BASH_SOURCE[0]}")/rules-live/run.sh"
run_live 1 15 30 release
