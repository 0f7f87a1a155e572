#!/usr/bin/env bash
# Fuzzes all targets in turn and prints a table of what came of it.
#
# MINUTES for each target (1), JOBS side by side (1), TARGETS by name (all), SANITIZER (none: there
# is no unsafe code of ours that address could look at), FOUND for the inputs that fail.
set -euo pipefail
cd "$(dirname "$0")/../.."

minutes=${MINUTES:-1}
jobs=${JOBS:-1}
sanitizer=${SANITIZER:-none}
found=${FOUND:-tests/fuzz/found}
targets=${TARGETS:-$(ls tests/fuzz/src/bin | sed 's/\.rs$//')}

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "cargo-fuzz is missing. To install it: cargo install --locked cargo-fuzz" >&2
    exit 1
fi
# libFuzzer needs flags that a stable compiler does not take otherwise.
export RUSTC_BOOTSTRAP=1
export minutes sanitizer found
for target in $targets; do
    cargo fuzz build --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer "$sanitizer" "$target"
done

one() {
    local target=$1 log=tests/fuzz/artifacts/$1.log
    mkdir -p "tests/fuzz/corpus/$target" "tests/fuzz/artifacts/$target"
    # New inputs go into the first folder; the others are read.
    cargo fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer "$sanitizer" "$target" \
        "tests/fuzz/corpus/$target" "tests/data/fuzz/$target" -- \
        -max_total_time=$((minutes * 60)) -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 \
        -dict=tests/fuzz/words.dict >"$log" 2>&1 || true
    local last runs failed
    last=$(grep -aE '^#[0-9]+.* cov: ' "$log" | tail -1 || true)
    runs=$(grep -a 'stat::number_of_executed_units' "$log" | grep -oE '[0-9]+$' || true)
    failed=$(find "tests/fuzz/artifacts/$target" -type f | wc -l)
    if [ "$failed" -gt 0 ]; then
        mkdir -p "$found/$target"
        mv "tests/fuzz/artifacts/$target"/* "$found/$target/"
    elif [ -z "$runs" ]; then
        failed='?' # it did not even start: the log says why
    fi
    printf '%-22s %12s %9s %9s %9s\n' "$target" "${runs:-?}" \
        "$(grep -oP 'cov: \K[0-9]+' <<<"$last" || echo '?')" "$(grep -oP 'ft: \K[0-9]+' <<<"$last" || echo '?')" "$failed"
}
export -f one

mkdir -p tests/fuzz/artifacts
table=$(mktemp)
trap 'rm -f "$table"' EXIT
printf '%-22s %12s %9s %9s %9s\n' target executions coverage features findings
printf '%s\n' $targets | xargs -P "$jobs" -I{} bash -c 'one {}' | tee "$table"

if grep -qvE ' 0$' "$table"; then
    echo
    echo "The inputs that fail are in $found. To mend one: copy it to tests/data/fuzz/TARGET/, with a name"
    echo "that says what it is; cargo test --test fuzzed fails until it holds. Its log is in tests/fuzz/artifacts."
    exit 1
fi
