#!/usr/bin/env bash
# Installs what `make bench` compares with: the clients of tests/interop/install.sh,
# and an rqbit that is optimized as its users have it. The one of the tests is not.
#
#   PIECEMEAL_BENCH_PREFIX  where rqbit goes (default: target/bench-clients)
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PIECEMEAL_BENCH_PREFIX:-target/bench-clients}
mkdir -p "$prefix"

PIECEMEAL_INTEROP_SKIP="${PIECEMEAL_INTEROP_SKIP:-rqbit,opentracker}" tests/interop/install.sh

if ! "$prefix/bin/rqbit" --version 2>/dev/null | grep -q ' 9\.1\.0$'; then
    # Six minutes and more on two cores.
    CARGO_TARGET_DIR="$prefix/rqbit-target" \
        cargo install --locked --version 9.1.0 --no-default-features --features rust-tls --root "$prefix" rqbit
    rm -rf "$prefix/rqbit-target"
fi
