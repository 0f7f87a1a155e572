#!/usr/bin/env python3
"""Runs the whole suite again and again on a machine that is kept busy, and names
every test that failed even once. `make steady` calls it; the settings are
variables, of the environment or of make:

    ROUNDS=10   how often everything that `make test` runs is run
    LOAD=2      busy loops for each core
    THREADS=6   tests that run at a time (RUST_TEST_THREADS)
    CORES=      the cores to run on, as taskset takes them: `0`, or `0,1`; all if empty
    JITTER=     a seed: the tests' own peers and trackers sleep a little before and
                after each thing they send or receive; no sleep if empty
    ONLY=       the test binaries to run, with commas: `s15_swarm,doc`; all if empty

The exit code is 1 if any test failed. What a failed binary printed is kept in
target/steady/. Ctrl-C ends the round that is running, and the table is of those before it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "target" / "steady"
# A binary that takes longer than this hangs.
LIMIT = 40 * 60
# Spins until it is killed, and also ends when this script is gone without a word.
SPIN = "import os\nwhile os.getppid() == %d: pass"


# The binaries run without cargo, so what cargo would put into their environment is put there here.
with open(ROOT / ".cargo" / "config.toml", "rb") as config:
    os.environ.update(tomllib.load(config)["env"])


def setting(name, default):
    return os.environ.get(name, "") or default


def built():
    """Builds the tests; returns their names and binaries, in the order cargo runs them."""
    build = ["cargo", "test", "--locked", "--no-run", "--message-format=json"]
    lines = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    binaries = {}
    for message in found:
        if message.get("executable") and message["profile"]["test"]:
            kind, name = message["target"]["kind"][0], message["target"]["name"]
            binaries[name if kind == "test" else f"{name}-{kind}"] = [message["executable"]]
    units = {name: run for name, run in binaries.items() if name.startswith("piecemeal-")}
    rest = {name: binaries[name] for name in sorted(binaries) if name not in units}
    return {**units, **rest, "doc": ["cargo", "test", "--locked", "--doc"]}


def run(name, command, log):
    """Runs one binary; returns the names of the tests in it that failed."""
    with open(log, "wb") as out:
        # A session of its own, so that all it started can be ended with it.
        child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            code = "hang"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    if code == 0:
        log.unlink()
        return []
    text = log.read_text(errors="replace")
    # libtest ends with the names of the failed tests, each on a line of its own.
    failed = re.findall(r"^    (\S.*)$", text.rpartition("\nfailures:\n")[2], re.M) if "\nfailures:\n" in text else []
    return [f"{name} {test}" for test in failed] or [f"{name} (the binary: {code})"]


def main():
    rounds, load = int(setting("ROUNDS", "10")), int(setting("LOAD", "2"))
    threads, cores = setting("THREADS", "6"), setting("CORES", "")
    jitter, only = setting("JITTER", ""), setting("ONLY", "")
    tests = built()
    if only:
        unknown = set(only.split(",")) - set(tests)
        if unknown:
            sys.exit(f"error: ONLY: no test binary {', '.join(sorted(unknown))}; there are {', '.join(tests)}")
        tests = {name: tests[name] for name in only.split(",")}
    pinned = ["taskset", "-c", cores] if cores else []
    os.environ["RUST_TEST_THREADS"] = threads
    if jitter:
        os.environ["PIECEMEAL_JITTER"] = jitter
    if cores:
        count = int(subprocess.run([*pinned, "nproc"], check=True, stdout=subprocess.PIPE).stdout)
    else:
        count = len(os.sched_getaffinity(0))
    settings = f"LOAD={load} THREADS={threads} CORES={cores or 'all'} JITTER={jitter or 'none'}"
    print(f"{rounds} rounds, {settings}, {count} cores", flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    failures, times = Counter(), []
    # A job in the background is born deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    loops = []
    try:
        for _ in range(load * count):
            # Ctrl-C is for this script, which ends them.
            spin = [*pinned, sys.executable, "-c", SPIN % os.getpid()]
            loops.append(subprocess.Popen(spin, start_new_session=True))
        for number in range(1, rounds + 1):
            begun, failed = time.monotonic(), []
            for name, command in tests.items():
                failed += run(name, [*pinned, *command], LOGS / f"{os.getpid()}-round-{number}-{name}.log")
            failures.update(set(failed))
            times.append(time.monotonic() - begun)
            print(f"round {number:2}: {times[-1]:5.0f} s, {len(failed)} failed {' '.join(failed)}", flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    print(f"\n{settings}: {len(times)} rounds of {min(times, default=0):.0f} to {max(times, default=0):.0f} s")
    for test, count in failures.most_common():
        print(f"  {count:2} of {len(times)}  {test}")
    if failures:
        print(f"what they printed: {LOGS.relative_to(ROOT)}/{os.getpid()}-*")
    else:
        print("  no test failed")
    sys.exit(1 if failures or len(times) < rounds else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(error.cmd)} ended with {error.returncode}")
