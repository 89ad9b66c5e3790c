"""The same work on every web host at once: all of it succeeds, or what succeeded is taken back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from dixis_tui.config import Config, Host, WebHost
from dixis_tui.context import Context
from dixis_tui.model import DixisError, Level, StoppedError

T = TypeVar("T")


class FleetError(DixisError):
    """The work failed on at least one of several hosts."""


def contexts(ctx: Context) -> list[Context]:
    """The context as each web host's own: its name before what is said there, its folder, its way in by SSH."""

    def speaker(name: str) -> Callable[[str], None]:
        return lambda text: ctx.say(f"{name}: {text}")

    def logger(name: str) -> Callable[[str, Level], None]:
        return lambda text, level: ctx.log(f"{name}: {text}", level)

    if not ctx.other_hosts:
        return [ctx]
    configs = [ctx.config.model_copy(update={"hosts": ()}), *(_config(ctx.config, one) for one in ctx.config.hosts)]
    hosts = (ctx.app_host, *ctx.other_hosts)
    return [
        replace(ctx, config=config, app_host=host, other_hosts=(), say=speaker(host.name), log=logger(host.name))
        for config, host in zip(configs, hosts, strict=True)
    ]


def place(ctx: Context) -> tuple[str, str]:
    """What tells the application of a context from the others: two of them may share a machine."""
    return ctx.app_host.name, ctx.config.app.root


def _config(config: Config, host: WebHost) -> Config:
    app = config.app.model_copy(update={"root": host.root or config.app.root})
    return config.model_copy(update={"app": app, "host": Host(ssh=host.ssh), "hosts": ()})


def each(ctx: Context, work: Callable[[Context], T], *, undo: Callable[[Context], object] | None = None) -> list[T]:
    """Do the work on every host, at the same time; the answers in the order of the hosts.

    When it fails on one, undo is done on all: where it failed, too, it may be half done. So undo must bear that nothing
    was done yet. With a single host its own error is raised, with several a FleetError that tells them by host.
    """
    hosts = contexts(ctx)
    answers: dict[int, T] = {}
    errors: dict[int, Exception] = {}
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        waiting = [pool.submit(work, host) for host in hosts]
        for number, future in enumerate(waiting):
            try:
                answers[number] = future.result()
            except Exception as error:  # whatever it is, the other hosts must not stay where they are
                errors[number] = error
    if not errors:
        return [answers[number] for number in range(len(hosts))]
    left = _taken_back(hosts, undo) if undo else ""
    if left:
        ctx.say(left)
    stopped = next((error for error in errors.values() if isinstance(error, StoppedError)), None)
    if stopped is not None:
        raise stopped
    first = next(iter(errors.values()))
    known = first if isinstance(first, DixisError) else DixisError("")
    if len(hosts) == 1:
        known.safe = known.safe or left
        raise first
    raise FleetError(
        "; ".join(f"{hosts[number].app_host.name}: {_words(error)}" for number, error in errors.items()),
        safe=left or known.safe,
        next_step=known.next_step,
    )


def _words(error: Exception) -> str:
    return error.what if isinstance(error, DixisError) else f"{type(error).__name__}: {error}"


def _taken_back(hosts: Iterable[Context], undo: Callable[[Context], object]) -> str:
    """Undo on these hosts, even when the operator has asked to stop; what there is to say about it."""
    done, failed = [], []
    for host in hosts:
        try:
            undo(replace(host, stop=threading.Event()))
            done.append(host.app_host.name)
        except Exception as error:
            failed.append(f"{host.app_host.name} could not be taken back: {_words(error)}")
    taken = f"taken back on {', '.join(done)}" if done else ""
    return "; ".join(filter(None, [taken, *failed]))


def lines(ctx: Context, told: Callable[[Context], Iterable[str]]) -> list[str]:
    """What each host has to say, one host after the other."""
    return [line for host in contexts(ctx) for line in told(host)]


def named(ctx: Context, answers: Iterable[Iterable[str]]) -> list[str]:
    """Lines by host, with its name before each where there are several."""
    hosts = contexts(ctx)
    alike = len({host.app_host.name for host in hosts}) < len(hosts)
    names = [" ".join(place(host)) if alike else host.app_host.name for host in hosts]
    prefix = [f"{name}: " if len(hosts) > 1 else "" for name in names]
    return [f"{name}{line}" for name, answer in zip(prefix, answers, strict=True) for line in answer]
