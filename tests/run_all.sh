#!/usr/bin/env bash
# Run the tests; arguments go to pytest. UMT_REAL_DATA names a folder of real data that some tests use where it is set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source benchmarks/setup_env.sh
umt_ensure_env mmseg,demo,test
exec python -m pytest "$@"
