"""What the program can do is what its documents say, and the layers are what the architecture says."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from checks import all_checks
from checks.__main__ import catalogue
from checks.registry import Check
from dixis_tui.cli import COMMANDS, cli
from dixis_tui.config import Config
from dixis_tui.config.application import Ssh
from dixis_tui.config.base import Secret
from dixis_tui.config.whole import models_in
from screens.help import KEYS

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/operator.md").read_text(encoding="utf-8")


def commands(group: click.Group, prefix: str = "dixis") -> list[tuple[str, click.Command]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += commands(command, f"{prefix} {name}")
        else:
            found.append((f"{prefix} {name}", command))
    return found


@pytest.mark.parametrize(("name", "command"), commands(cli))
def test_every_command_and_option_is_in_the_guide(name: str, command: click.Command) -> None:
    assert f"`{name}`" in GUIDE
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert any(f"`{option}" in GUIDE for option in parameter.opts), f"{name} {parameter.opts}"
    assert command.help


def test_every_key_is_in_the_guide() -> None:
    for key, meaning in KEYS:
        assert f"| {key} | {meaning} |" in GUIDE


def test_the_catalogue_of_checks_is_the_registrys() -> None:
    assert (ROOT / "docs/checks.md").read_text(encoding="utf-8").splitlines() == list(catalogue())


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.id)
def test_every_check_says_why_and_what_mends_it(check: Check) -> None:
    assert check.id.partition(".")[0] in ("data", "schema", "plan", "infra", "env", "time")
    assert check.step_id == f"preflight.{check.id}"
    assert check.why.endswith(".")
    assert check.remedy


def test_every_picture_and_page_the_readme_names_is_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_engine_runs_without_any_widget() -> None:
    code = (
        "import sys, checks, dixis_tui.cli as line\n"
        "for name in line.COMMANDS: line.load(name)\n"
        "sys.exit('textual' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_imports_nothing_of_the_engine() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['dixis', '--help']\n"
        "from dixis_tui.cli import main\n"
        "main()\n"
        "heavy = ('sqlalchemy', 'sqlglot', 'pymysql', 'paramiko', 'dixis_tui.runner')\n"
        "sys.exit(any(name in sys.modules for name in heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


def test_the_example_configuration_is_taken(tmp_path: Path) -> None:
    example = tmp_path / "dixis.toml"
    example.write_text((ROOT / "config.example.toml").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(example), "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "next      preflight.env.secrets" in done.stdout
    assert "dixis, run not begun, production" in done.stdout
    assert list(tmp_path.iterdir()) == [example]  # looking leaves no trace


def test_the_card_in_the_documents_is_the_one_of_the_example_configuration(tmp_path: Path) -> None:
    example = tmp_path / "dixis.toml"
    example.write_text((ROOT / "config.example.toml").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "dixis_tui.cli", "--config", str(example), "card"],
        capture_output=True,
        text=True,
        check=True,
    )
    card = done.stdout.replace(str(tmp_path), "/srv/migration")
    page = (ROOT / "docs/rollback-card.md").read_text(encoding="utf-8")
    assert card in page.replace("```", ""), f"write this into docs/rollback-card.md:\n{card}"
    lines = card.splitlines()
    assert len(lines) <= 66  # one page, as line printers and A4 have it
    assert max(map(len, lines)) <= 110


def test_what_troubleshooting_quotes_is_what_the_program_says() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    quoted = [line.removeprefix('### "').removesuffix('"') for line in page.splitlines() if line.startswith('### "')]
    assert len(quoted) > 20
    files = (path for folder in ("dixis_tui", "screens", "checks") for path in (ROOT / folder).rglob("*.py"))
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert [words for words in quoted if words not in source] == []


def test_the_architecture_names_every_module_and_no_other() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    told: dict[str, set[str]] = {}
    for paragraph in re.split(r"\n(?=- )|\n\n", page):
        opening = re.search(r"^- \*\*(\w+)\*\*, a package: ", paragraph, re.M)
        names = set(re.findall(r"\*\*(\w+)\*\*", paragraph))
        package = opening.group(1) if opening else ""
        told[package] = told.get(package, set()) | names - {package}
    packages = {"": ROOT / "dixis_tui", "checks": ROOT / "checks", "screens": ROOT / "screens"}
    packages |= {path.parent.name: path.parent for path in (ROOT / "dixis_tui").glob("*/__init__.py")}
    there = {
        package: {path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")}
        for package, folder in packages.items()
    }
    assert told == there


def test_the_example_configuration_has_every_key_in_the_programs_order() -> None:
    sections: dict[str, str] = {}
    for block in re.split(r"^(?=#?\[)", (ROOT / "config.example.toml").read_text(encoding="utf-8"), flags=re.M)[1:]:
        name = re.match(r"#?\[+(\w+)", block)
        assert name is not None
        sections[name.group(1)] = sections.get(name.group(1), "") + block
    fields = {field.alias or name: field for name, field in Config.model_fields.items()}
    assert list(sections) == list(fields)

    def keys(annotation: Any) -> Iterator[str]:
        for model in models_in(annotation):
            if model in (Secret, Ssh):  # explained once for all: at the head of the file, and under [host.ssh]
                continue
            for name, field in model.model_fields.items():
                yield field.alias or name
                yield from keys(field.annotation)

    missing = [
        f"[{section}] {key}"
        for section, field in fields.items()
        for key in keys(field.annotation)
        if not re.search(rf"\b{key}\b(?:\]|\s*=)", sections[section])
    ]
    assert missing == []


def test_every_page_is_in_the_guides_index_and_every_link_leads_somewhere() -> None:
    pages = sorted((ROOT / "docs").glob("*.md"))
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        if not link.startswith("https://") and not (page.parent / link).is_file()
    ]
    assert broken == []
    index = GUIDE.partition("## The other pages")[2]
    assert [page.name for page in pages if page.name != "operator.md" and f"]({page.name})" not in index] == []


def test_the_guide_has_the_commands_in_the_order_of_the_help() -> None:
    table = re.findall(r"^\| `dixis (\w+)", GUIDE.partition("## Commands")[2].replace("`dixis`, ", ""), flags=re.M)
    assert list(dict.fromkeys(table)) == list(COMMANDS)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_is_of_no_machine_small_and_shown_somewhere(picture: Path) -> None:
    drawn = picture.read_text(encoding="utf-8")
    words = html.unescape(re.sub(r"<[^>]+>", " ", drawn[drawn.rindex("</defs>") :])).replace("\xa0", " ")
    assert len(drawn) < 120_000
    assert re.findall(r"/(?:tmp|root|home)\b\S*", words) == []
    shown = [page.name for page in (ROOT / "docs").glob("*.md") if f"]({picture.name})" in page.read_text("utf-8")]
    assert shown
