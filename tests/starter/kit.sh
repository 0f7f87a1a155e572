#!/usr/bin/env bash
# Packs a course for a room without internet into target/piecemeal-kit-VERSION.tar.gz: the program, the
# book, the source of this project and of all crates, and a starter for each stage. Then unpacks it
# elsewhere, and tries a starter without a network: only then the archive gets its name. `make kit` makes
# the book first.
#
# PROFILE=dev packs the program of `cargo build`, which is made sooner.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name=piecemeal-kit-$version
archive=target/$name.tar.gz
untried=target/$name.untried
profile=${PROFILE:-release}
tool=tests/starter/Cargo.toml

room=$(mktemp -d)
trap 'rm -rf "$room" "$untried"' EXIT
rm -f "$archive" # of an earlier run: it is not what this one is about
kit=$room/$name
mkdir -p "$kit/bin" "$kit/source" "$kit/starters" "$kit/.cargo"

cargo build --locked --profile "$profile"
cp "${CARGO_TARGET_DIR:-target}/${profile/dev/debug}/piecemeal" "$kit/bin/"
cp -r target/book "$kit/book"
git archive HEAD | tar -xf - -C "$kit/source"

(cd "$kit" && cargo vendor --quiet --locked --manifest-path source/Cargo.toml \
    --sync "source/$tool" --sync source/docs/book/Cargo.toml crates)
# Cargo looks for its settings in each folder above the one in which it runs. So these are for the
# source, and for every starter that stays inside the kit.
cat > "$kit/.cargo/config.toml" <<'END'
[source.crates-io]
replace-with = "kit"

[source.kit]
directory = "crates"

[net]
offline = true
END

for chapter in docs/[0-9][0-9]-*.md; do
    stage=$(basename "$chapter" | cut -c1-2)
    cargo run --locked --quiet --manifest-path "$tool" -- \
        new "$kit/source" "$stage" "" "$kit/starters/stage-$stage" > "$room/said"
done

cat > "$kit/README.md" <<'END'
# piecemeal, for a room without internet

Copy the whole folder, and work inside it: the starters find their crates in `crates/` as long as they are
below this file. You need Rust 1.91 or later, a linker (`cc`), `make` and git, installed before. In each
terminal, here:

```sh
export PATH="$PWD/bin:$PATH"
piecemeal demo
```

| here | is |
|---|---|
| `bin/piecemeal` | the program, for the system that made this kit; elsewhere `cd source && cargo build --release` |
| `book/index.html` | the chapters, with their source beside them |
| `starters/stage-01` | a project with functions to write; `make check` in it says which are right. One for each stage |
| `source` | all of it, to read and to build: `cd source` before a command that names `src/` |
| `source/docs/teaching.md` | the teacher's companion |

The answers to the exercises and the bodies of all functions are in here too.
END

tar -czf "$untried" -C "$room" "$name"
rm -rf "$kit"

echo "trying the kit without a network"
tar -xzf "$untried" -C "$room"
alone=(env -u CARGO_TARGET_DIR CARGO_HOME="$room/no-registry")
if unshare --user --net true 2>/dev/null; then
    alone=(unshare --user --net --map-root-user "${alone[@]}")
fi
starter=$kit/starters/stage-01
say() {
    cat "$room/said" >&2
    echo "error: this kit is not usable: $1" >&2
    exit 1
}
"$kit/bin/piecemeal" decode d3:cow3:mooe > "$room/said" 2>&1 || say "its program does not run here"
"${alone[@]}" make -C "$starter" check > "$room/said" 2>&1 || true # every function is empty
grep -q 'this is where you begin' "$room/said" || say "stage 1 does not begin without a network"
cp -r "$kit/source/src/"s01_* "$starter/src/"
"${alone[@]}" make -C "$starter" check > "$room/said" 2>&1 || say "the reference's stage 1 is not solved"
mv "$untried" "$archive"
ls -l "$archive"
