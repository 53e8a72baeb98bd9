#!/usr/bin/env bash
# Run the tests; arguments go to pytest. UMT_REAL_DATA names a folder of real data that some tests use where it is set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source benchmarks/setup_env.sh
umt_ensure_env mmseg,demo,test
python -c 'import pytest' 2>/dev/null || {
    echo "umt: the active environment has no pytest; install it with: pip install -e '.[mmseg,demo,test]'" >&2
    exit 1
}
exec python -m pytest "$@"
