#!/usr/bin/env bash
# Run the tests, a process a core; arguments go to pytest (`-n 0` for one process).
# `--fast` as the first argument leaves out the tests that are marked slow.
# UMT_REAL_DATA names a folder of real data that some tests use where it is set.
set -euo pipefail
unset CDPATH # cd would follow it, and print
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source benchmarks/setup_env.sh
umt_ensure_env mmseg,demo,test
python -c 'import pytest, xdist' 2>/dev/null || {
    echo "umt: the active environment has no pytest or pytest-xdist; install it with: pip install -e '.[mmseg,demo,test]'" >&2
    exit 1
}
if [ "${1:-}" = --fast ]; then
    shift
    set -- -m 'not slow' "$@"
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # the processes share the cores
exec python -m pytest -n auto --maxprocesses 4 --dist loadfile "$@"
