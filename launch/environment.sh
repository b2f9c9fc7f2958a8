# Sourced by the scripts beside it: makes .venv with the pinned dependencies and the extras in $extras (comma-separated,
# may be empty), or finds it up to date. Leaves the caller in the repository.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=".${extras:+[$extras]}"

# What is installed is named by a stamp; a second start compares two short strings and goes on at once.
wanted="$target $(cat pyproject.toml constraints.txt | cksum)"
stamp=".venv/installed-${extras:-base}"

if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    python=$(command -v python3 || command -v python) || { echo "jaxloop needs Python 3.11 or newer" >&2; exit 2; }
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "jaxloop needs Python 3.11 or newer; $python is $("$python" --version)" >&2; exit 2; }
    echo "installing into .venv (once) ..." >&2
    if command -v uv >/dev/null; then
        [ -x .venv/bin/python ] || uv venv --quiet --python "$python" .venv
        uv pip install --quiet --python .venv/bin/python --constraint constraints.txt --editable "$target"
    else
        [ -x .venv/bin/python ] || "$python" -m venv .venv
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable "$target"
    fi
    echo "$wanted" > "$stamp"
fi
