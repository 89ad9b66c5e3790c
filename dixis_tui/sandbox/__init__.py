"""A complete little world on loopback to rehearse a migration in: real servers, a real application, nothing to lose."""

from dixis_tui.sandbox.servers import Kind, RunningServer, ServerBinary, find_servers, start_server
from dixis_tui.sandbox.world import Options, ProcessStatus, World, WorldStatus, down, status, up

__all__ = [
    "Kind",
    "Options",
    "ProcessStatus",
    "RunningServer",
    "ServerBinary",
    "World",
    "WorldStatus",
    "down",
    "find_servers",
    "start_server",
    "status",
    "up",
]
