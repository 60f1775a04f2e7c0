"""The docs say what the code does: every setting, metric, route and command is in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.app import create_app
from server.cli import main
from server.config import Settings
from tools.write_docs import metrics_table, settings_page

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"


def read(*parts: str) -> str:
    return REPOSITORY.joinpath(*parts).read_text(encoding="utf-8")


def test_every_setting_is_documented() -> None:
    assert read("docs", "configuration.md") == settings_page(), "run `python -m tools.write_docs`"


def test_every_metric_is_documented() -> None:
    assert read("docs", "interfaces.md").endswith(metrics_table()), "run `python -m tools.write_docs`"


def test_every_route_is_documented(tmp_path: Path) -> None:
    app = create_app(Settings(data=tmp_path))
    app.state.parts.database.close()
    documented = read("docs", "interfaces.md")
    paths = [*app.openapi()["paths"], "/ws/events", "/socket.io"]
    assert len(paths) > 10
    missing = [path for path in paths if re.sub(r"\{\w+\}", "{", path).split("{")[0] not in documented]
    assert not missing


def test_every_module_has_its_room_in_the_architecture() -> None:
    page = read("docs", "architecture.md")
    for module in (REPOSITORY / "server").glob("*.py"):
        assert module.name == "__init__.py" or module.name in page, module.name


@pytest.mark.parametrize(
    "file", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/performance.md", "deploy/README.md"]
)
def test_links_lead_somewhere(file: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", read(file)):
        assert (REPOSITORY / file).parent.joinpath(target).exists(), target


def test_every_surveillx_command_in_the_readme_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is parsed by the real parser, with --help in place of carrying it out."""
    commands = set(re.findall(r"surveillx (serve|demo|publish|enroll|bench)\b([^`\n]*)", read("README.md")))
    assert {name for name, _ in commands} >= {"serve", "publish", "enroll", "bench"}
    for name, rest in commands:
        options = re.findall(r"--[a-z-]+", rest)
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        help_text = capsys.readouterr().out
        for option in options:
            assert option in help_text, f"{name} {option}"


def test_make_targets_in_the_readme_exist() -> None:
    makefile = read("Makefile")
    for target in re.findall(r"`?make ([a-z]+)\b", read("README.md")):
        assert f"\n{target}:" in makefile, target
