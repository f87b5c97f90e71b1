"""The program mtev-busted: reads the command line and ``.busted``, finds the specs and has luamtev run them.

Exit status: 0 when every test passed, 2 otherwise: a failure, an error anywhere, a file that does not load, no files,
or a command line that cannot be used.  Manual: mtev-busted.
"""

import contextlib
import os
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from mtev_busted import events, jobs
from mtev_busted.files import CONFIG, ConfigError, check_patterns, config, find, shuffled
from mtev_busted.options import IDLE, LANGUAGES, USAGE, Options, UsageError, merge, parse
from mtev_busted.plan import DEFAULT_LPATH, OUTPUTS, Plan, lua_literal

EXIT_FAILURE = 2
FAILED = ".mtev-busted-failed"
"""The file, in the working directory, that holds the tests which failed: ``file<tab>name``, a line each."""

HELPER = "lua-support/init.lua"
START = Path(__file__).parent / "lua" / "start.lua"


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


SPELLINGS = {"plain": "plain", "plainterminal": "plain", "utfterminal": "plain"} | {each: each for each in OUTPUTS}


def _output(options: Options) -> tuple[str, str, bool]:
    """The output, or the name of a handler that is not ours; and whether signs may go beyond ASCII."""
    given = str(options.get("output", "gtest"))
    short = given.removeprefix("busted.outputHandlers.").lower()
    if short in SPELLINGS:
        return SPELLINGS[short], "", short == "utfterminal"
    return "", given, False


def _one_of(options: Options, name: str, values: tuple[str, ...]) -> str:
    given: str = options.get(name, "")
    if given and given not in values:
        raise UsageError(f"--{name}: one of {', '.join(values)} is expected, got '{given}'")
    return given


def _read(name: str, path: str) -> list[str]:
    try:
        return Path(path).read_text(errors="surrogateescape").splitlines()
    except OSError as failure:
        raise UsageError(f"--{name}: {path}: {failure.strerror}") from None


def _excluded_names(options: Options) -> list[str]:
    """The names of tests in a file, which a run may be about to begin."""
    path = options.get("exclude-names-file")
    if path is None or (path == options.get("log-success") and not Path(path).exists()):
        return []
    return _read("exclude-names-file", path)


def _check_writable(options: Options, name: str) -> None:
    path = Path(options.get(name, ""))
    if not options.get(name):
        return
    if path.is_dir():
        raise UsageError(f"--{name}: {path}: Is a directory")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        reason = "Permission denied" if path.parent.is_dir() else "No such directory"
        raise UsageError(f"--{name}: {path}: {reason}")


def _check(options: Options) -> None:
    """Raise :exc:`UsageError` for what cannot go together, and say under ``--verbose`` what does nothing."""
    both = set(options.get("tags", [])) & set(options.get("exclude-tags", []))
    if both:
        raise UsageError(f"--tags and --exclude-tags: both name '{min(both)}'")
    for name in ("log-success", "lcov", "cobertura"):
        _check_writable(options, name)
    for one, other in (("watch", "list"), ("update-snapshots", "ci")):
        if options.get(one) and options.get(other):
            raise UsageError(f"--{one} and --{other}: only one of them can be asked for")
    if options.get("coverage") and options.get("coverage-config-file"):
        _read("coverage-config-file", options.get("coverage-config-file"))
    for name in ("filter", "filter-out", "pattern", "exclude-pattern"):
        check_patterns(f"--{name}", options.get(name, []))
    if options.get("lang", "en") not in LANGUAGES:
        raise UsageError(f"--lang: one of {', '.join(sorted(LANGUAGES))} is expected, got '{options.get('lang')}'")
    if options.get("verbose"):
        ignored = [f"--{name} is accepted and does nothing" for name in sorted(IDLE & set(options.values))]
        for note in options.notes + ignored:
            sys.stderr.write(f"mtev-busted: {note}\n")


def resolve(options: Options) -> Plan:
    """The plan of a run.  Raises :exc:`UsageError` and :exc:`ConfigError`."""
    _check(options)
    timeout = _number(options, "timeout", float, 0.001)
    seed = _number(options, "seed", int, 0)
    shuffle, order = options.get("shuffle", False), options.get("sort", False)
    roots = options.roots or (["spec"] if Path("spec").is_dir() else ["."])
    files, problems = find(
        roots, options.get("pattern", []), options.get("exclude-pattern", []), recursive=options.get("recursive", True)
    )
    junit = os.environ.get("JUNIT_OUTPUT_FILE")
    output, handler, utf8 = _output(options)
    lpath = options.get("lpath")
    return Plan(
        files=files,
        problems=problems,
        helpers=([HELPER] if Path(HELPER).is_file() else []) + [h for h in options.get("helper", []) if h != HELPER],
        helper_arguments=options.get("Xhelper", []),
        output=output,
        output_handler=handler,
        output_arguments=options.get("Xoutput", []),
        utf8=utf8,
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
        seed=int.from_bytes(os.urandom(3)) if seed is None else seed,
        seed_given=seed is not None,
        statements=options.get("statement", []),
        excluded_names=_excluded_names(options),
        log_success=options.get("log-success", ""),
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
        coverage=options.get("coverage", False) and not options.get("list", False),
        coverage_config=options.get("coverage-config-file", ""),
        library=_library() if options.get("coverage") else "",
        lcov=options.get("lcov", "lcov.info"),
        cobertura=options.get("cobertura", "cobertura.xml"),
        failed_file=FAILED,
        retries=_number(options, "retry", int, 0),
        revert=options.get("auto-revert", False),
        leaks=_one_of(options, "leaks", ("warn", "fail")),
        slowest=_number(options, "slowest", int, 0) or 0,
        update_snapshots=options.get("update-snapshots", False),
        ci=options.get("ci", False),
        workers=_workers(options),
        file_timeout=_number(options, "file-timeout", float, 0.001),
    )


def _library() -> str:
    """Where luamtev's own Lua is below the working directory, which may be that of its source; or nothing."""
    from luamtev import libraries

    place, here = Path(libraries.__file__).parent.resolve() / "lua", Path.cwd()
    return str(place.relative_to(here)) if place.is_relative_to(here) else ""


def _terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def _workers(options: Options) -> int | None:
    count: int | None = _number(options, "jobs", int, 0)
    return _processors() if count == 0 else count


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_here(plan: Plan) -> int:
    """Run *plan* in luamtev, in this process, which usually ends with it."""
    from luamtev import cli as luamtev
    from luamtev import settings
    from mtev_busted.output import TYPE, SpecOutput
    from runtime import log

    log.register_type(TYPE, SpecOutput)
    settings.stdout_type = TYPE
    if plan.library and plan.role != "reporter":
        from luamtev import libraries

        own = f"{START.parent}/"
        path, given = lua_literal(f"{own}library_loader.lua"), f"{lua_literal(own)}, {plan.to_lua()}"
        libraries.loader = f"return assert(loadfile({path}))({given})((...).library_source)".encode()
    sys.stdout.flush()
    return luamtev.main([str(START), plan.to_lua()])


def only_failed(plan: Plan) -> Plan:
    """*plan* for the tests that failed the last time, or as it is when none did."""
    lines = [line.partition("\t") for line in (_read("only-failed", FAILED) if Path(FAILED).exists() else [])]
    files = {file for file, _, _ in lines}
    if not files & set(plan.files):
        return plan
    known = [name for _, _, name in lines if name]
    return replace(plan, files=[each for each in plan.files if each in files], names=known or None)


def run(plan: Plan) -> int:
    """Run *plan*, in this process or in those it asks for; the exit status.

    Raises :exc:`KeyboardInterrupt` once what ran has been reported, if INT or TERM ended it."""
    from mtev_busted.single import is_debugged

    if plan.list or (plan.workers is None and not plan.coverage and is_debugged()):
        return _run_here(plan)

    def ordered(seed: int) -> list[str]:
        paths = sorted(plan.files) if plan.sort_files else list(plan.files)
        return shuffled(paths, seed) if plan.shuffle_files and paths else paths

    work = jobs.work(plan, ordered)
    try:
        status = _run_elsewhere(replace(plan, mark=events.new_mark().decode()), work)
    except OSError as failure:
        sys.stderr.write(f"mtev-busted: a process that runs specs cannot be had: {failure.strerror}\n")
        return EXIT_FAILURE
    if plan.coverage:
        from mtev_busted import coverage

        status = status if coverage.report(coverage.told(work.counts), plan) else EXIT_FAILURE
    if work.interrupted:
        raise KeyboardInterrupt
    return status


def _run_elsewhere(plan: Plan, work: jobs.Work) -> int:
    if plan.workers is None:
        from mtev_busted.single import Single

        single = Single(plan, work, _run_here)
        status = single.run()
        if status is not None:
            return status
        if single.child.has_started:
            plan = replace(plan, printed=True, problems=[])
    from mtev_busted.parallel import Parallel

    _load_stack()
    return Parallel(plan, work, plan.workers or 1, _run_here).run()


def _open_standard_descriptors() -> None:
    """Have 0, 1 and 2 lead nowhere where they are closed: nothing else shall get these numbers, and what is written."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, open(descriptor, "r" if descriptor == 0 else "w", closefd=False))  # noqa: SIM115


def _load_stack() -> None:
    """Load what every process of a run needs, once for all."""
    from luamtev import cli as _cli  # noqa: F401
    from luamtev import program as _program  # noqa: F401
    from luamtev.modules import lua_general as _module  # noqa: F401
    from luamtev.state import prepare
    from runtime import trace

    prepare()
    trace.expose()


def main(argv: list[str] | None = None) -> int:
    """Run the command line *argv* (that of the process by default); returns the exit status if the process lives on."""
    _open_standard_descriptors()
    try:
        return _main(argv)
    except KeyboardInterrupt:
        return EXIT_FAILURE


def _main(argv: list[str] | None) -> int:
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        if options.get("help"):
            sys.stdout.write(USAGE)
            return 0
        if options.get("version"):
            sys.stdout.write("mtev-busted, compatible with busted 2.2 and luassert 1.9\n")
            return 0
        for directory in options.get("directory", []):
            _change_directory(directory)
        source = options.get("config-file")
        if source or options.get("run") or Path(CONFIG).is_file():
            path = Path(source or CONFIG)
            paths = options.get("lpath"), options.get("cpath")
            merge(options, config(path, options.get("run"), *paths), str(path))
        plan = resolve(options)
        if options.get("only-failed"):
            plan = only_failed(plan)
    except (UsageError, ConfigError) as mistake:
        sys.stderr.write(f"mtev-busted: {mistake}\n")
        return EXIT_FAILURE
    if options.get("watch"):
        from mtev_busted.watch import watch

        return watch(plan, lambda: resolve(options), run)
    status = run(plan)
    sys.stderr.flush()
    os._exit(status)  # there is nothing left that an interpreter would have to tidy up


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
