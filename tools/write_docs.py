"""Writes what the docs take from the code: settings into docs/configuration.md, metrics into docs/interfaces.md."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from server.config import PREFIX, SECRETS, Settings
from server.metrics import Metrics

DOCS = Path(__file__).resolve().parent.parent / "docs"


def settings_page() -> str:
    """docs/configuration.md, whole."""
    rows = [
        f"| `{PREFIX}{each.name.upper()}` | {_shown(each.default)} | {each.metadata['help']} |"
        for each in fields(Settings)
    ]
    secrets = ", ".join(f"`{PREFIX}{name.upper()}_FILE`" for name in SECRETS)
    return "\n".join(
        [
            "# Configuration",
            "",
            "Flags win over environment variables, those over a TOML file (`surveillx --config FILE serve`, keys in",
            "lower case without the prefix), that over the defaults here. An unknown key or a value that does not fit",
            "ends the start with a message naming it. Lists are separated by commas. Secrets may also stand in files:",
            f"{secrets}.",
            "",
            "| variable | default | meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
            "This page is written by `tools/write_docs.py` from `server/config.py`.",
            "",
        ]
    )


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return ", ".join(default) if isinstance(default, tuple) else str(default)


def metrics_table() -> str:
    """The table of all metrics."""
    families = text_string_to_metric_families(Metrics().render().decode())
    rows = [
        f"| `{each.name}{'_total' if each.type == 'counter' else ''}` | {each.type} | {each.documentation} |"
        for each in families
        if not each.name.endswith("_created")
    ]
    return "\n".join(["| name | kind | meaning |", "| --- | --- | --- |", *rows, ""])


def main() -> None:
    """Write both."""
    (DOCS / "configuration.md").write_text(settings_page(), encoding="utf-8")
    page = DOCS / "interfaces.md"
    text = page.read_text(encoding="utf-8")
    before = re.split(r"(?<=## Metrics\n\n)", text)[0]
    page.write_text(before + metrics_table(), encoding="utf-8")


if __name__ == "__main__":
    main()
