"""Runs many command lines of luamtev: a process that has imported all that starts import forks for each.

Reads JSON from standard input, a list of ``[directory, [argument, ...]]``; writes a list of ``[status, out, errors]``.
"""

import gc
import importlib
import json
import os
import select
import signal
import sys
import tempfile
import traceback
from typing import Any

from runtime import late

PATIENCE = 60.0  # seconds for one, which has little to do


def run(directory: str, arguments: list[str]) -> "list[Any]":
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            os.chdir(directory)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            status = 70
            try:
                from luamtev import cli

                status = cli.main(arguments)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = waited(child)
        texts = []
        for file in (out, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        return [status, *texts]


def waited(child: int) -> int:
    watch = os.pidfd_open(child)
    try:
        if not select.select([watch], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(watch)


if __name__ == "__main__":
    for name in ("luamtev.cli", "luamtev.program", "luamtev.checking", "luamtev.modules.lua_general"):
        importlib.import_module(name)
    late.import_all()
    gc.freeze()
    json.dump([run(*each) for each in json.load(sys.stdin)], sys.stdout)
