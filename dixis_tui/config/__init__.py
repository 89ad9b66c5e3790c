"""The configuration: one TOML file, read into models that refuse what they do not know.

Paths are relative to the file that names them. Secrets are references (environment variable, 0600 file, prompt) and are
resolved when they are first needed, so that a missing password never stops a step that does not use it.
"""

from __future__ import annotations

from dixis_tui.config.aftercare import Afterwards, Trigger, Watch
from dixis_tui.config.application import App, Host, Smoke, SmokeQuery, Ssh, Url, WebHost
from dixis_tui.config.assets import Assets
from dixis_tui.config.backup import Account, Backup, Health, Schedule
from dixis_tui.config.base import ConfigError, Name, Secret, Section, read_secret_file
from dixis_tui.config.console import Console
from dixis_tui.config.run import People, Run
from dixis_tui.config.servers import Admin, Source, Target, Tls
from dixis_tui.config.tables import PLAN_GROUPS, Conversion, Data, Group, Index, Names, Schema, Types, zone_of
from dixis_tui.config.tuning import Connections, Tuning
from dixis_tui.config.validation import Query, Validation, Vat
from dixis_tui.config.whole import NEEDED_TO_GO_BACK, Config, line_of, load, models_in
from dixis_tui.config.written import Written

__all__ = [
    "NEEDED_TO_GO_BACK",
    "PLAN_GROUPS",
    "Account",
    "Admin",
    "Afterwards",
    "App",
    "Assets",
    "Backup",
    "Config",
    "ConfigError",
    "Connections",
    "Console",
    "Conversion",
    "Data",
    "Group",
    "Health",
    "Host",
    "Index",
    "Name",
    "Names",
    "People",
    "Query",
    "Run",
    "Schedule",
    "Schema",
    "Secret",
    "Section",
    "Smoke",
    "SmokeQuery",
    "Source",
    "Ssh",
    "Target",
    "Tls",
    "Trigger",
    "Tuning",
    "Types",
    "Url",
    "Validation",
    "Vat",
    "Watch",
    "WebHost",
    "Written",
    "line_of",
    "load",
    "models_in",
    "read_secret_file",
    "zone_of",
]
