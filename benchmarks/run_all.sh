#!/usr/bin/env bash
# The main job: evaluate backbones and write Table 1. Without an argument it runs the embedded example; --help explains.
set -euo pipefail
here=$(pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source benchmarks/setup_env.sh
umt_ensure_env mmseg,demo
cd "$here"
exec umt run "$@"
