# An environment with UMT-Bench: the active one where it has `umt`, else .venv (or $UMT_VENV), made here.
# Sourced by the two run_all.sh; the argument is the list of extras, e.g. mmseg,demo.

umt_find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "umt: Python 3.11 or newer is needed and was not found; install it and run this again" >&2
    return 1
}

umt_is_active() {
    (cd / && python3 -c 'import umt.cli') 2>/dev/null
}

umt_make_env() {
    local extras=$1 env=$2 python
    local stamp="$env/.umt-$extras-$(cat setup.cfg constraints.txt | cksum | cut -d' ' -f1)"
    if [ ! -f "$stamp" ]; then
        python=$(umt_find_python)
        echo "Installing UMT-Bench into $env (once, a few minutes)" >&2
        [ -x "$env/bin/python" ] || "$python" -m venv "$env" || {
            echo "umt: could not make $env; on Debian or Ubuntu: apt-get install python3-venv" >&2
            return 1
        }
        "$env/bin/python" -m pip install --quiet --constraint constraints.txt --editable ".[$extras]"
        touch "$stamp"
    fi
    # shellcheck disable=SC1091
    source "$env/bin/activate"
}

umt_ensure_env() {
    local extras=$1 env=${UMT_VENV:-$PWD/.venv}
    if [ -z "${UMT_VENV:-}" ] && [ "${VIRTUAL_ENV:-}" != "$env" ] && umt_is_active; then
        return # somebody's own environment: used as it is
    fi
    umt_make_env "$extras" "$env"
}
