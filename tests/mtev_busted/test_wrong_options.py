"""What cannot be asked of mtev-busted: one line names the option, or the file and its line; status 2; no test runs."""

from pathlib import Path

import pytest

from mtev_busted import cli, options

WRONG = [
    *[(f"--{each}", f"--{each}: a value is expected") for each in sorted(options.VALUES)],
    *[(f"--{each}=", f"--{each}: a value is expected") for each in sorted(options.NAMES)],
    *[(f"--{each}=1", f"--{each}: takes no value") for each in sorted(options.FLAGS)],
    *[(f"--no-{each}=1", f"--no-{each}: takes no value") for each in sorted(options.FLAGS)],
    *[(f"--no-{each}", f"--no-{each}: no such option") for each in sorted(options.VALUES)],
    *[(f"-{each}", f"-{each}: a value is expected") for each, name in options.SHORT.items() if name in options.VALUES],
    *[
        (f"--{name}={value}", f"--{name}: a whole number of at least {least} is expected, got '{value}'")
        for name, least in (("jobs", 0), ("retry", 0), ("slowest", 0), ("seed", 0), ("repeat", 1))
        for value in ("", "x", "1.5", "1e2", "-1", "9" * 20)
    ],
    *[
        (f"--{name}={value}", f"--{name}: a number of at least 0.001 is expected, got '{value}'")
        for name in ("timeout", "file-timeout")
        for value in ("", "x", "0", "-1", "nan", "inf", "1e400")
    ],
    *[
        (f"--{name}={pattern}", f"--{name} '{pattern}': {why}")
        for name in ("filter", "filter-out", "pattern", "exclude-pattern")
        for pattern, why in (("[", "malformed pattern"), ("%", "malformed pattern"), ("(", "unfinished capture"))
    ],
    *[
        (f"--{name}={path}", f"--{name}: {path}: {why}")
        for name in ("lcov", "cobertura", "log-success")
        for path, why in (("directory", "Is a directory"), ("no/file", "No such directory"))
    ],
    *[
        (f"--coverage --{name}={path}", f"--{name}: {path}: {why}")
        for name in ("coverage-config-file", "exclude-names-file")
        for path, why in (("directory", "Is a directory"), ("no", "No such file or directory"))
    ],
    ("--config-file=directory", "directory: Is a directory"),
    ("--config-file=no", "no: No such file or directory"),
    ("--config-file=text", "text:1: unexpected symbol near '='"),
    ("--run=x", ".busted: No such file or directory"),
    ("--directory=no", "--directory no: No such file or directory"),
    ("--directory=text", "--directory text: Not a directory"),
    ("--leaks=some", "--leaks: one of warn, fail is expected, got 'some'"),
    ("--lang=xx", "--lang: one of ar, "),
    ("-X =v", "-X: K or K=V is expected, got '=v'"),
    ("-jx", "-jx: no such option"),
    ("-Z", "-Z: no such option"),
    ("--bail", "--bail: no such option"),
    ("--no-no-list", "--no-no-list: no such option"),
    ("", "the name of a file or directory is empty"),
    ("-t a,b --exclude-tags=b", "--tags and --exclude-tags: both name 'b'"),
    ("--watch --list", "--watch and --list: only one of them can be asked for"),
    ("--ci --update-snapshots", "--update-snapshots and --ci: only one of them can be asked for"),
]

CONFIGURATIONS = [
    ("return {", ".busted:1: unexpected symbol near '<eof>'"),
    ("return 1", ".busted: a table of tables of options is expected"),
    ("return { default = 1 }", ".busted: a table of tables of options is expected"),
    ("return", ".busted: a table of tables of options is expected"),
    ("error('no')", ".busted:1: no"),
    ("return { default = { verbose = 'yes' } }", ".busted: verbose: true or false is expected, got 'yes'"),
    ("return { default = { output = true } }", ".busted: output: text is expected, got true"),
    ("return { default = { output = '' } }", ".busted: output: a value is expected"),
    ("return { default = { output = print } }", "a configuration holds tables, text, numbers and booleans only"),
    ("return { default = { seed = 'x' } }", "--seed: a whole number of at least 0 is expected, got 'x'"),
    ("return { default = { tags = { 'a', true } } }", ".busted: tags: text is expected, got true"),
    ("return { default = { tags = 'a', ['exclude-tags'] = 'a' } }", "--tags and --exclude-tags: both name 'a'"),
    ("return { default = { verbose = 1 } }", ".busted: verbose: true or false is expected, got 1"),
    ("return { default = { ROOT = { 'spec', {} } } }", ".busted: ROOT: text is expected, got a table"),
    ("\0", ".busted:1: "),
]


def told(
    arguments: list[str], directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What mtev-busted says of a command line that it refuses."""
    monkeypatch.chdir(directory)
    (directory / "directory").mkdir()
    (directory / "text").write_text("x = = y\n")
    (directory / "one_spec.lua").write_text('it("t", function() end)')

    def ran(*_: object) -> int:
        raise AssertionError("it ran")

    monkeypatch.setattr(cli, "run", ran)
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mtev-busted: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=[each for each, _ in WRONG])
def test_a_wrong_option_is_named(
    arguments: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in told(arguments.split(" "), tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(("source", "says"), CONFIGURATIONS)
def test_a_wrong_configuration_is_named(
    source: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".busted").write_text(source)
    assert says in told([], tmp_path, monkeypatch, capsys)
