#!/usr/bin/env bash
# Fuzzes the parsers and decoders of the metrics engine, one after another, and says what it ran.
#
#   fuzz/run.sh [SECONDS_PER_TARGET]           60, if nothing is said
#   FUZZ_TARGETS="relabel template" fuzz/run.sh only these
#
# Needs the nightly toolchain and `cargo install --locked cargo-fuzz`. Inputs come from fuzz/corpus; what is found to
# reach new code is kept in fuzz/found, what breaks a target in fuzz/artifacts (neither is under version control).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { printf 'usage: fuzz/run.sh [SECONDS_PER_TARGET]\n' >&2; exit 2; }
# The workspace's versions, so that what is fuzzed is what is shipped.
[[ -e Cargo.lock ]] || cp ../Cargo.lock Cargo.lock

# No address sanitizer: the project has no unsafe code. Debug assertions and overflow checks are on.
(cd .. && cargo +nightly fuzz build --sanitizer none)
host=$(rustc +nightly -vV | sed -n 's/^host: //p')

log=$(mktemp)
trap 'rm -f "$log"' EXIT
broken=0
read -ra targets <<<"${FUZZ_TARGETS:-$(cd fuzz_targets && printf '%s\n' *.rs | sed 's/\.rs$//' | tr '\n' ' ')}"
printf '%-24s %8s %12s %s\n' target seconds executions outcome
for target in "${targets[@]}"; do
    mkdir -p "found/$target" "artifacts/$target" "corpus/$target"
    start=$SECONDS outcome=ok
    "target/$host/release/$target" -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="artifacts/$target/" "found/$target" "corpus/$target" \
        >"$log" 2>&1 </dev/null || outcome=BROKEN
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    printf '%-24s %8s %12s %s\n' "$target" $((SECONDS - start)) "${executions:-?}" "$outcome"
    if [[ $outcome != ok ]]; then
        broken=$((broken + 1))
        grep -E 'panicked|SUMMARY|Test unit written|ERROR' -A 2 "$log" | head -n 12 >&2 || true
    fi
done
printf '%d targets, %d broken\n' "${#targets[@]}" "$broken"
((broken == 0))
