#!/bin/sh
# Makes .venv and installs one hash-pinned requirements file into it: `tools/environment.sh runtime|dev`.
# A stamp per file content makes the second call a matter of milliseconds. `dev` contains `runtime`,
# so an environment made for the tests serves the demo too. PYTHON chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."
set_name=${1:?usage: tools/environment.sh runtime|dev}
requirements=requirements/$set_name.txt
venv=.venv

say() { printf '%s\n' "$*" >&2; }
stamp_of() { printf '%s/.stamp-%s-%s' "$venv" "$1" "$(cksum <"requirements/$1.txt" | tr ' ' '-')"; }

if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    [ -e "$(stamp_of "$set_name")" ] && exit 0
    [ "$set_name" = runtime ] && [ -e "$(stamp_of dev)" ] && exit 0
else
    rm -rf "$venv"
    is_recent='import sys; sys.exit(sys.version_info < (3, 11))'
    chosen=
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c "$is_recent" 2>/dev/null; then chosen=$candidate; break; fi
    done
    if [ -z "$chosen" ]; then
        say "Dora needs Python 3.11 or later; tried: ${PYTHON:-python3 and python3.11 to python3.14}."
        say "Install one, or name it: make setup PYTHON=/path/to/python3"
        exit 1
    fi
    if ! "$chosen" -c 'import ensurepip, venv' 2>/dev/null; then
        say "$chosen cannot make a virtual environment with pip in it: the module ensurepip is missing."
        say "On Debian or Ubuntu: apt-get install python3-venv, then again."
        exit 1
    fi
    say "making $venv with $("$chosen" --version)"
    "$chosen" -m venv "$venv"
fi

say "installing $requirements into $venv (every file is checked against its hash)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$requirements"
rm -f "$venv/.stamp-$set_name-"*
: >"$(stamp_of "$set_name")"
