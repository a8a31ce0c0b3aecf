#!/usr/bin/env bash
# rules-live.sh in a minute and a quarter: windows and `for` are a twelfth of the specification's.
# needs: python3:python3 curl:curl prometheus:prometheus
# shellcheck source-path=SCRIPTDIR source=rules-live/run.sh
source "$(dirname "${BASH_SOURCE[0]}")/rules-live/run.sh"
run_live 0.0834 1 5 debug
