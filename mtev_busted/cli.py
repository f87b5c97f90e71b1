"""The program mtev-busted: reads the command line and ``.busted``, finds the specs and has luamtev run them.

Exit status: 0 when every test passed, 2 otherwise: a failure, an error anywhere, a file that does not load, no files,
or a command line that cannot be used.  Manual: mtev-busted.
"""

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from mtev_busted.files import CONFIG, ConfigError, config, find
from mtev_busted.options import USAGE, Options, UsageError, merge, parse
from mtev_busted.plan import DEFAULT_LPATH, OUTPUTS, Plan

EXIT_FAILURE = 2
HELPER = "lua-support/init.lua"
MAIN = Path(__file__).parent / "lua" / "main.lua"


def _number(options: Options, name: str, kind: type[int] | type[float], least: float) -> Any:
    given = options.get(name)
    if given is None:
        return None
    try:
        value = kind(given)
    except ValueError:
        value = None
    if value is None or not least <= value < 2**53:
        what = "number" if kind is float else "whole number"
        raise UsageError(f"--{name}: a {what} of at least {least:g} is expected, got '{given}'")
    return value


def _output(options: Options) -> str:
    given = str(options.get("output", "gtest"))
    name = {"utfterminal": "plain", "plainterminal": "plain"}.get(given.lower(), given.lower())
    if name not in OUTPUTS:
        raise UsageError(f"--output: one of {', '.join(OUTPUTS)} is expected, got '{given}'")
    return name


def resolve(options: Options) -> Plan:
    """The plan of a run.  Raises :exc:`UsageError` and :exc:`ConfigError`."""
    timeout = _number(options, "timeout", float, 0.001)
    seed = _number(options, "seed", int, 0)
    shuffle, order = options.get("shuffle", False), options.get("sort", False)
    roots = options.roots or (["spec"] if Path("spec").is_dir() else ["."])
    files, problems = find(
        roots, options.get("pattern"), options.get("exclude-pattern"), recursive=options.get("recursive", True)
    )
    junit = os.environ.get("JUNIT_OUTPUT_FILE")
    output = _output(options)
    lpath = options.get("lpath")
    return Plan(
        files=files,
        problems=problems,
        helpers=([HELPER] if Path(HELPER).is_file() else []) + [h for h in options.get("helper", []) if h != HELPER],
        helper_arguments=options.get("Xhelper", []),
        output=output,
        color=_terminal(sys.stdout) and "NO_COLOR" not in os.environ,
        progress=_terminal(sys.stderr) and (output != "plain" or not _terminal(sys.stdout)),
        verbose=options.get("verbose", False),
        list=options.get("list", False),
        bail=not options.get("keep-going", True),
        run_pending=options.get("dontskip", False),
        suppress_pending=options.get("suppress-pending", False),
        insulate_files=options.get("auto-insulate", True),
        strict=options.get("strict", not options.get("lazy", True)),
        shuffle_files=options.get("shuffle-files", shuffle),
        shuffle_tests=options.get("shuffle-tests", shuffle),
        sort_files=options.get("sort-files", order),
        sort_tests=options.get("sort-tests", order),
        seed=int(time.time()) if seed is None else seed,
        runs=_number(options, "repeat", int, 1) or 1,
        timeout=timeout,
        tags=options.get("tags", []),
        exclude_tags=options.get("exclude-tags", []),
        filter=options.get("filter", []),
        filter_out=options.get("filter-out", []),
        names=options.get("name"),
        lpath=f"{lpath};{DEFAULT_LPATH}" if lpath else DEFAULT_LPATH,
        cpath=options.get("cpath", ""),
        options={k: v if equals else True for k, equals, v in (x.partition("=") for x in options.get("X", []))},
        enable_logs=options.get("enable-log", []),
        disable_logs=options.get("disable-log", []),
        junit="test_detail.xml" if junit is None else junit,
        junit_required=bool(junit),
        hostname=platform.node(),
    )


def _terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def run(plan: Plan) -> int:
    """Run *plan* in luamtev, in this process, which usually ends with it."""
    from luamtev import cli as luamtev

    sys.stdout.flush()
    return luamtev.main([str(MAIN), plan.to_lua()])


def main(argv: list[str] | None = None) -> int:
    """Run the command line *argv* (that of the process by default); returns the exit status if the process lives on."""
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        if options.get("help"):
            sys.stdout.write(USAGE)
            return 0
        if options.get("version"):
            sys.stdout.write("mtev-busted, compatible with busted 2.2 and luassert 1.9\n")
            return 0
        if options.get("directory"):
            _change_directory(options.get("directory"))
        source = options.get("config-file")
        if source or options.get("run") or Path(CONFIG).is_file():
            path = Path(source or CONFIG)
            merge(options, config(path, options.get("run")), str(path))
        plan = resolve(options)
    except (UsageError, ConfigError) as mistake:
        sys.stderr.write(f"mtev-busted: {mistake}\n")
        return EXIT_FAILURE
    return run(plan)


def _change_directory(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as failure:
        raise UsageError(f"--directory {directory}: {failure.strerror}") from None


def program() -> NoReturn:
    """Entry of ``python -m mtev_busted.cli``."""
    sys.exit(main())


if __name__ == "__main__":
    program()
