"""What one run does, as Python and Lua both know it: the options, resolved, and the spec files to run.

Knows nothing of the command line (:mod:`mtev_busted.cli`) nor of how files are found (:mod:`mtev_busted.files`).
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

OUTPUTS = ("gtest", "plain", "tap", "tap14", "json", "jsonl", "junit", "github")
"""The values of ``--output``; the name of a file of outputs/ each."""

SYSTEM_LPATH = "/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"
SYSTEM_CPATH = f"/usr/lib/{getattr(sys.implementation, '_multiarch', 'lua')}/lua/5.1/?.so"
"""Where a distribution keeps Lua libraries; searched last."""

DEFAULT_LPATH = "./src/?.lua;./src/?/?.lua;./src/?/init.lua"


@dataclass
class Plan:
    """The plan the Lua side runs.  Times are in seconds."""

    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # errors of the run, found before it began
    helpers: list[str] = field(default_factory=list)
    helper_arguments: list[str] = field(default_factory=list)
    output: str = "gtest"  # one of OUTPUTS, or "" for a handler of the user's
    output_handler: str = ""  # a Lua file, or the name of a module
    output_arguments: list[str] = field(default_factory=list)
    utf8: bool = False  # signs beyond ASCII
    color: bool = False
    progress: bool = False
    verbose: bool = False
    list: bool = False
    bail: bool = False
    run_pending: bool = False
    suppress_pending: bool = False
    insulate_files: bool = True
    strict: bool = False
    shuffle_files: bool = False
    shuffle_tests: bool = False
    sort_files: bool = False
    sort_tests: bool = False
    seed: int = 0
    seed_given: bool = False  # the same for every repetition
    statements: Sequence[str] = ()
    excluded_names: Sequence[str] = ()
    log_success: str = ""  # the file to append the names of passed tests to
    runs: int = 1
    timeout: float | None = None
    retries: int | None = None  # further tries of a test that fails; None: those that a flaky one has
    revert: bool = False  # spies and stubs are taken back after each test
    leaks: str = ""  # "warn" or "fail" about what tests leave behind
    coverage: bool = False
    coverage_config: str = ""
    library: str = ""  # where luamtev's own Lua is below the working directory
    lcov: str = "lcov.info"
    cobertura: str = "cobertura.xml"
    failed_file: str = ""  # where the tests that failed are kept
    slowest: int = 0  # tests to list at the end
    update_snapshots: bool = False
    ci: bool = False  # a missing snapshot is a failure
    tags: Sequence[str] = ()
    exclude_tags: Sequence[str] = ()
    filter: Sequence[str] = ()
    filter_out: Sequence[str] = ()
    names: Sequence[str] | None = None
    lpath: str = DEFAULT_LPATH
    cpath: str = ""
    system_lpath: str = SYSTEM_LPATH
    system_cpath: str = SYSTEM_CPATH
    options: dict[str, str | bool] = field(default_factory=dict)
    enable_logs: Sequence[str] = ()
    disable_logs: Sequence[str] = ()
    junit: str = ""  # the file to write, or nothing
    junit_required: bool = False  # whether a run fails when it cannot be written
    hostname: str = ""
    role: str = ""  # "worker" or "reporter" of a parallel run
    commands: int = -1  # the descriptor such a child is told by
    journal: int = -1  # the descriptor by which the process of a run that is not parallel tells what happens
    printed: bool = False  # what happened until a process died was printed by it
    mark: str = ""  # before each event that a process tells or is told
    workers: int | None = None  # processes that run files; None: this one does
    file_timeout: float | None = None  # until the process that runs a file is killed

    def to_lua(self) -> str:
        """The plan as a Lua table constructor."""
        return lua_literal({key: value for key, value in asdict(self).items() if value is not None})


def lua_literal(value: object) -> str:
    """*value* (booleans, numbers, text, sequences, mappings by text) as Lua source.

    Raises :exc:`TypeError` for anything else."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _quoted(value)
        case Mapping():
            return "{" + ",".join(f"[{lua_literal(k)}]={lua_literal(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "{" + ",".join(map(lua_literal, value)) + "}"
        case _:
            raise TypeError(f"a {type(value).__name__} has no Lua literal")


def _quoted(text: str) -> str:
    plain = range(32, 127)
    data = text.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(b) if b in plain and b not in b'"\\' else f"\\{b:03d}" for b in data) + '"'
