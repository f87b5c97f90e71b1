"""The options of ``luamtev``, once: what parses them, the help, the man page and completions are made of this table."""

from typing import NamedTuple


class Option(NamedTuple):
    """An option: ``short``, a letter or empty, ``long``, ``value``, what it takes or empty, and what it ``does``."""

    short: str
    long: str
    value: str
    does: str


OPTIONS = (
    Option("c", "conf", "FILE", "use this configuration; a script given too replaces its lua_module, in memory"),
    Option("t", "check", "", "check the command line and the configuration, name every mistake, and exit"),
    Option("T", "print-conf", "", "print the configuration and exit"),
    Option("L", "lua-path", "PATH", "the Lua path; +PATH is appended to the default, {package.path} stands for it"),
    Option("C", "lua-cpath", "PATH", "the path of C modules, likewise"),
    Option("M", "modules", "DIRS", "directories of loadable modules, separated by colons"),
    Option("n", "threads", "NUMBER", "event loop threads, 0 for one a processor (1)"),
    Option("e", "function", "NAME", "the function to run (main)"),
    Option("d", "debug", "", "enable the debug log"),
    Option("l", "log", "NAME", "enable this log; may be given again"),
    Option("i", "interactive", "", "a console on the terminal, or for lines piped in"),
    Option("m", "watch", "", "run under the watchdog, in the foreground; twice: in the background"),
    Option("", "reload", "", "for development: make Lua states anew whose files change"),
    Option("u", "user", "USER", "take on this user once logs are open, modules loaded and ports bound"),
    Option("g", "group", "GROUP", "take on this group then"),
    Option("", "status", "", "say whether the server of the configuration's lock file runs: 0 if it does, 1 if not"),
    Option("", "stop", "", "have it end, and wait until it has"),
    Option("", "completion", "SHELL", "print what makes bash, zsh or fish complete these options"),
    Option("", "editor", "", "write .luarc.json here, by which editors with LuaLS know the API"),
    Option("", "man", "", "print the manual page, for man -l -"),
    Option("V", "version", "", "print the version"),
    Option("h", "help", "", "print this help"),
)

SYNOPSIS = (
    "luamtev [options] FILE.lua [arguments...]",
    "luamtev [options] -c CONF [FILE.lua [arguments...]]",
)

ABOUT = """\
Runs a Lua module on a complete libmtev-style server. Options end at the file name: what follows is for the script.
Without -c a configuration is generated; -T prints it, to be edited and used with -c.
"""

STATUSES = (
    ("0", "it ended as it was told to; or what the script gave to os.exit"),
    ("1", "with --status or --stop: it does not run, or does not end; at a signal: a loop did not end in time"),
    ("2", "the command line or the configuration cannot be used; one line says what of it"),
    ("255", "an error in the script that nobody caught"),
)

SIGNALS = (
    ("TERM, QUIT", "end, once requests under way are answered"),
    ("INT", "likewise, with status 130"),
    ("HUP", "reopen logs, read the configuration again"),
    ("USR1", "reopen logs"),
    ("USR2", "log the stacks of all threads, Lua's too"),
)


def short_options() -> str:
    """As getopt wants them."""
    return "".join(each.short + (":" if each.value else "") for each in OPTIONS if each.short)


def long_options() -> list[str]:
    """As getopt wants them."""
    return [each.long + ("=" if each.value else "") for each in OPTIONS]


def find(given: str) -> Option:
    """The option that getopt calls *given*, with its dashes."""
    name = given.lstrip("-")
    return next(each for each in OPTIONS if name in ((each.long,) if given.startswith("--") else (each.short,)))


def usage() -> str:
    """The help."""
    lines = [f"{'usage:' if not place else '      '} {each}" for place, each in enumerate(SYNOPSIS)]
    lines += ["", ABOUT.rstrip(), ""]
    for each in OPTIONS:
        short = f"-{each.short}," if each.short else "   "
        lines.append(f"  {short} {f'--{each.long} {each.value}':20} {each.does}")
    return "\n".join(lines) + "\n"


def completion(shell: str) -> str:
    """What makes *shell* complete the options.  Raises ValueError for another than bash, zsh and fish."""
    makers = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    if shell not in makers:
        raise ValueError(f"'{shell}' is none of {', '.join(makers)}")
    return makers[shell]()


def _bash() -> str:
    words = " ".join([*(f"-{each.short}" for each in OPTIONS if each.short), *(f"--{each.long}" for each in OPTIONS)])
    return f"""\
_luamtev() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  case $before in
    --completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$word")); return ;;
    -u|--user) COMPREPLY=($(compgen -u -- "$word")); return ;;
    -g|--group) COMPREPLY=($(compgen -g -- "$word")); return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "{words}" -- "$word")) ;;
    *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}}
complete -F _luamtev luamtev
"""


_ZSH = {
    "FILE": ":file:_files",
    "DIRS": ":directory:_files -/",
    "USER": ":user:_users",
    "GROUP": ":group:_groups",
    "SHELL": ":shell:(bash zsh fish)",
}


def _zsh() -> str:
    rows = []
    for each in OPTIONS:
        value = _ZSH.get(each.value, f":{each.value.lower()}:" if each.value else "")
        does = each.does.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
        for name in filter(None, (each.short and f"-{each.short}", f"--{each.long}")):
            rows.append(f"  '*{name}[{does}]{value}' \\")
    return (
        "#compdef luamtev\n_arguments -S \\\n"
        + "\n".join(rows)
        + "\n  '1:script:_files -g \"*.lua\"' \\\n  '*::argument:_files'\n"
    )


def _fish() -> str:
    rows = []
    for each in OPTIONS:
        does = each.does.replace("\\", "\\\\").replace("'", "\\'")
        short = f" -s {each.short}" if each.short else ""
        needs = " -r" if each.value else ""
        among = " -f -a 'bash zsh fish'" if each.value == "SHELL" else ""
        rows.append(f"complete -c luamtev{short} -l {each.long}{needs}{among} -d '{does}'")
    return "\n".join(rows) + "\n"


def man(version: str) -> str:
    """The manual page, for man(7)."""

    def plain(text: str) -> str:
        return text.replace("\\", "\\e").replace("-", "\\-")

    lines = [
        f'.TH LUAMTEV 1 "" "luamtev {version}" "User Commands"',
        ".SH NAME",
        "luamtev \\- run Lua on libmtev's stack",
    ]
    lines += [".SH SYNOPSIS", *(line for each in SYNOPSIS for line in (f".B {plain(each)}", ".br"))]
    lines += [".SH DESCRIPTION", plain(" ".join(ABOUT.split())), ".SH OPTIONS"]
    for option in OPTIONS:
        names = ", ".join(f"\\fB{plain(each)}\\fR" for each in _names(option))
        lines += [".TP", names + (f" \\fI{option.value}\\fR" if option.value else ""), plain(option.does)]
    for title, rows in (("EXIT STATUS", STATUSES), ("SIGNALS", SIGNALS)):
        lines.append(f".SH {title}")
        for name, meaning in rows:
            lines += [".TP", f"\\fB{plain(name)}\\fR", plain(meaning)]
    return "\n".join(lines) + "\n"


def _names(option: Option) -> list[str]:
    return [*([f"-{option.short}"] if option.short else []), f"--{option.long}"]
