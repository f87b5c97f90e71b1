"""Directories.  Manual: mkdir_for_file."""

import os
from pathlib import Path


def mkdir_for_file(path: str | os.PathLike[str], mode: int = 0o777) -> None:
    """Make the directories that a file *path* needs, with *mode*, which the umask narrows.

    Raises OSError.  Manual: mkdir_for_file."""
    folder = Path(path).parent
    for each in reversed([each for each in (folder, *folder.parents) if not each.is_dir()]):
        each.mkdir(mode, exist_ok=True)  # somebody else may make it meanwhile
