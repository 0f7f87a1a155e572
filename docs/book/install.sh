#!/usr/bin/env bash
# Installs mdBook, which `make book` needs, in target/mdbook, unless it is there. Without its web
# server and optimizations it takes a minute or two on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^pub const MDBOOK: &str = "\(.*\)";$/\1/p' docs/book/src/book.rs)
prefix=target/mdbook

is_there() {
    [ "$("$1" --version 2>/dev/null)" = "mdbook v$version" ]
}
if is_there "$prefix/bin/mdbook" || is_there mdbook; then exit; fi

CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=0 \
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
    CARGO_TARGET_DIR="$prefix/build" \
    cargo install --quiet --locked --version "$version" --no-default-features --features search \
    --root "$prefix" mdbook
rm -rf "$prefix/build"
