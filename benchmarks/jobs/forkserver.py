"""A server that has imported torch, from which processes start in milliseconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from umt.errors import ProcessError, UMTError
from umt.surroundings import safe_path, shorten_socket_folder, usable_cores

STARTING = threading.Lock()  # held while a process starts


def fork_server(tasks: Iterable[str] = ()) -> Any:
    """Return a multiprocessing context whose children start with everything that a job needs already imported.

    The server starts importing at once, while the caller goes on. tasks: those of the jobs, which count where it
    starts; the modules of others are imported by each job.
    """
    shorten_socket_folder()
    context = multiprocessing.get_context("forkserver")
    of_tasks = [f"benchmarks.tasks.{name}" for name in sorted(tasks) if name.isidentifier()]  # passed over if missing
    context.set_forkserver_preload(["benchmarks.jobs.preload", *of_tasks])
    with safe_path():
        forkserver.ensure_running()
    return context


def call(context: Any, function: str, *arguments: Any, **options: Any) -> Any:
    """Run `module:function` in a child process and return its answer; its UMTError is raised here.

    The function is named, not passed, so that this process need not import the function's modules.
    """
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, function, arguments, options))
    start_process(process)
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        process.join()
        raise ProcessError(f"{function}: {ending(process.exitcode or 0)}") from None
    except BaseException:  # an interruption, after which nobody waits for the answer
        process.terminate()
        raise
    process.join()
    if isinstance(answer, UMTError):
        raise answer
    return answer


def imported(function: str) -> Callable[..., Any]:
    """Return the function that `module:function` names."""
    module, _, name = function.partition(":")
    loaded: Callable[..., Any] = getattr(import_module(module), name)
    return loaded


def start_process(process: BaseProcess) -> None:
    """Start a process that does not import the caller's script: without a guard, that would start the work again."""
    with STARTING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main


def default_workers(device: str) -> int:
    """Return the jobs at a time: 1 on a GPU; on the CPU several with few threads each, so that they waste less."""
    return min(4, usable_cores()) if device == "cpu" else 1


def threads_of(workers: int) -> int:
    """Return the threads of each of so many jobs at a time."""
    return max(1, usable_cores() // workers)


def ending(status: int) -> str:
    """Say how a process ended that left no report."""
    if status >= 0:
        return f"the process ended with status {status}"
    cause = " (the system does that when memory runs out)" if -status == signal.SIGKILL else ""
    return f"the process was ended by {signal.Signals(-status).name}{cause}; the same command goes on"


def die_with_parent() -> None:
    """End this process when its parent is gone, even by kill -9; the fork server would let it live."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _answer(connection: Connection, function: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> None:
    die_with_parent()
    try:
        connection.send(imported(function)(*arguments, **options))
    except UMTError as error:
        connection.send(error)
    except KeyboardInterrupt:  # it goes to all processes; the caller says what to do
        pass
