#!/usr/bin/env bash
# The main job: evaluate backbones and write Table 1. Without an argument it runs the embedded example; --help explains.
set -euo pipefail
unset CDPATH # cd would follow it, and print
here=$(pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source benchmarks/setup_env.sh
umt_ensure_env mmseg,demo
cd "$here"
exec umt run "$@"
