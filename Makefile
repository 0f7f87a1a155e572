# A thin front for cargo: each target is one or two commands you can also type.

.PHONY: help demo test starter exercises exercises-all grade honest check docs book archive kit pictures steady prefixes plants policies interop page fuzz soak bench bench-dht bench-simulate

help:
	@echo "make demo      download from a swarm inside this process; no network needed"
	@echo "make test      all tests that need no other program (under 3 minutes)"
	@echo "make starter   STAGE=05: a project with functions to write; HOLE=frame for one, OUT=../my-stage-05 for where"
	@echo "make exercises each function that a starter leaves empty is missed by a test; exercises-all tries every one"
	@echo "make grade     the judge, with clients in Python and C, good and bad, and a class of hostile ones"
	@echo "make honest    twelve real processes beside the simulation of the same swarm; SEEDS=256,768, more in tests/honest.py"
	@echo "make steady    the tests many times on busy cores; ROUNDS=3 LOAD=4, more in tests/steady.py"
	@echo "make check     formatting, clippy, documentation"
	@echo "make docs      run the transcripts in docs/ and README.md, and write their new output"
	@echo "make book      the chapters with their source beside them, in target/book (docs/book/install.sh)"
	@echo "make archive   the source and the book in one file, target/piecemeal-VERSION.tar.gz"
	@echo "make kit       a course for a room without internet, target/piecemeal-kit-VERSION.tar.gz; PROFILE=dev is faster"
	@echo "make pictures  draws the two pictures of the README again; needs mdBook and Chromium"
	@echo "make prefixes  stages 1..N compile and pass their tests alone, for every N"
	@echo "make plants    wrong solutions, one at a time: a test catches each, and says what is wrong"
	@echo "make policies  what is known about swarms comes out of the policy lab; an optimized build"
	@echo "make interop   against real clients and trackers (tests/interop/install.sh)"
	@echo "make page      the page of a capture and the book in a real browser: Chromium, from tests/interop/install.sh"
	@echo "make fuzz      libFuzzer on everything that reads bytes from strangers, MINUTES=1 each (cargo-fuzz)"
	@echo "make soak      SWARMS=200 random swarms from SEED=1 on: each completes or says why, and leaves nothing"
	@echo "make bench-dht the DHT among a thousand simulated nodes, libtorrent beside it; writes docs/dht-figures.md"
	@echo "make bench-simulate what a simulated swarm costs, by peers, pieces and neighbors; writes docs/simulate-figures.md"
	@echo "make bench     against a bare floor and other clients; writes docs/benchmarks.md (benches/install.sh)"

demo:
	cargo run --locked -- demo

# Most tests mostly wait, so more of them run at a time than there are cores.
test:
	RUST_TEST_THREADS=6 cargo test --locked
	cd docs/book && cargo test --locked
	cd tests/starter && cargo test --locked

# The folder is a project of its own: it needs nothing from here afterwards.
starter:
	@cargo run --locked --quiet --manifest-path tests/starter/Cargo.toml -- new . "$(STAGE)" "$(HOLE)" "$(OUT)"

# Whole for the stages that have changed, and one function of each other stage. It makes
# tests/starter/matrix.toml again, which says what a starter's `make check` runs. Nobody debugs
# these builds, and without symbols they link faster.
exercises:
	CARGO_PROFILE_DEV_DEBUG=0 cargo run --locked --quiet --manifest-path tests/starter/Cargo.toml -- exercises . $(STAGE)
	cd tests/starter && cargo test --locked --test making -- --ignored

# Half an hour on two cores.
exercises-all:
	CARGO_PROFILE_DEV_DEBUG=0 cargo run --locked --quiet --manifest-path tests/starter/Cargo.toml -- exercises . all

# Two minutes: clients in Python and in C, and copies with a mistake each; hostile submissions.
grade:
	cargo test --locked --test grade

# Four minutes, on a machine that does nothing else: a busy one slows the processes alone.
honest:
	cargo build --locked --release
	python3 tests/honest.py

# Twenty minutes for ten rounds on two cores. Not in CI: what it finds depends on chance.
steady:
	python3 tests/steady.py

# rustfmt does not see the modules that a macro declares, so the commands are named.
check:
	cargo fmt --check
	rustfmt --check --edition 2024 src/commands/*.rs
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib
	cd docs/book && cargo fmt --check && cargo clippy --locked --all-targets -- -D warnings
	cd tests/starter && cargo fmt --check && cargo clippy --locked --all-targets -- -D warnings

# Read `git diff docs README.md` afterwards. `make test` fails while this would change anything.
docs:
	WRITE_DOCS=1 cargo test --locked --test chapters every_transcript -- --nocapture

# `make test` checks all of it but what mdBook makes of it. Without mdBook it says how to install it.
book:
	cd docs/book && cargo run --locked --quiet -- ../.. ../../target/book

# Look at docs/a-book.webp and docs/a-download.webp afterwards.
pictures:
	cargo build --locked
	cd docs/book && cargo test --locked --test pictures -- --ignored --nocapture

# What is committed, and the book of it. The folder book/ works from any disk, without a network.
archive: book
	version=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1); \
	name=piecemeal-$$version; \
	git archive --prefix=$$name/ -o target/$$name.tar HEAD && \
	tar -rf target/$$name.tar --transform "s,^target/book,$$name/book," target/book && \
	gzip -9f target/$$name.tar && echo target/$$name.tar.gz

# The program, the book, vendored crates and a starter for each stage; tried without a network.
kit: book
	PROFILE=$(PROFILE) tests/starter/kit.sh

prefixes:
	cargo test --locked --test prefixes -- --nocapture

# The words of each failing test are shown as well: read them after a change to a test's message.
plants:
	cargo test --locked --test plants -- --nocapture

policies:
	cargo test --locked --profile policies --test policies

interop:
	cargo test --locked --test interop -- --nocapture --test-threads=1

# `make test` also runs these if there is a browser, and skips them otherwise.
page:
	PIECEMEAL_BROWSER=needed cargo test --locked --test trace --test grade -- --nocapture page::
	cd docs/book && PIECEMEAL_BROWSER=needed cargo test --locked --test built -- --nocapture

# MINUTES=5 JOBS=2 TARGETS="bencode magnet" in place of a minute for each; tests/fuzz/run.sh lists all options.
fuzz:
	tests/fuzz/run.sh

soak:
	cargo test --locked --test soak -- --nocapture

# Half an hour. BENCH="--rounds 1 --only 'from 4'" for less; --help says more.
bench:
	cargo bench --locked --bench compare -- $(BENCH)

# Ten minutes. DHT="--runs 5 --only lookups" for less; --help says more.
bench-dht:
	cargo bench --locked --bench dht -- $(DHT)

# Three minutes. SIMULATE="--runs 5 --only pieces" for less; --help says more.
bench-simulate:
	cargo bench --locked --bench simulate -- $(SIMULATE)
