"""[watch]: the week after."""

from __future__ import annotations

from pydantic import Field

from dixis_tui.config.base import Section


class Watch(Section):
    """[watch]: the thresholds of the week after."""

    response_ms: float = Field(default=100.0, gt=0)
    slow_query_seconds: float = Field(default=2.0, gt=0)
    connections_percent: float = Field(default=80.0, gt=0, le=100)
