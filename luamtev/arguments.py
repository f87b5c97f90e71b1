"""What a command line of ``luamtev`` says, once it is read."""

from dataclasses import dataclass, field


@dataclass
class Arguments:
    """The command line, checked.  ``given`` are the options that were there, with their dashes."""

    conf: str | None = None
    lua_path: str = ""
    lua_cpath: str = ""
    modules_directory: str | None = None
    debug: bool = False
    threads: int = 1
    interactive: bool = False
    reload: bool = False
    managed: int = 0
    logs: list[str] = field(default_factory=list)
    function: str = "main"
    user: str | None = None
    group: str | None = None
    action: str = "run"
    """What is to be done: the long name of an option that does something else, or ``run``."""
    shell: str = ""
    script: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
