"""Whose rights the process has: user and groups; capabilities, through libcap.  Manual: mtev_security_setcaps."""

import ctypes
import grp
import os
import pwd
import sys
from collections.abc import Callable
from typing import Any


class SecurityError(Exception):
    """Privileges could not be dropped; the message names the user or group."""


def security_init(user: str | None, group: str | None) -> None:
    """Take on *user* and *group*, names or numbers, for good; None leaves as it is.

    A user alone brings the group and the supplementary groups that are its own; a number that no user has, the group of
    the same number.  A group alone is the only one left.
    Raises :exc:`SecurityError` naming the one that is unknown or refused, and when there would be a way back.
    Manual: ``mtev_conf_security_init``."""
    gid = None if group is None else _group_id(group)
    uid = None if user is None else _user_id(user)
    if uid is not None and gid is None and uid != os.geteuid():
        gid = _group_of(uid)
    who = f"user {user or '(same)'}, group {group or ('(same)' if gid is None else gid)}"
    privileged = os.geteuid() == 0
    try:
        if privileged and (gid is not None or uid not in (None, 0)):
            os.setgroups(_groups(uid, gid))
        if gid is not None and gid != os.getegid():
            _set_group(gid)
        if uid is not None and uid != os.geteuid():
            _set_user(uid)
    except OSError as refused:
        raise SecurityError(f"cannot become {who}: {refused}") from None
    if privileged and uid not in (None, 0) and _can_go_back():
        raise SecurityError(f"cannot become {who} for good: root can be had back")


def check(user: str | None, group: str | None) -> None:
    """Raises :exc:`SecurityError` for a name that :func:`security_init` would not know."""
    if user is not None:
        _user_id(user)
    if group is not None:
        _group_id(group)


def groups_of(user: str) -> tuple[int, list[int]]:
    """The group of *user*, a name or number, and all its groups.  Raises :exc:`SecurityError` for an unknown name."""
    uid = _user_id(user)
    gid = _group_of(uid)
    return gid, _groups(uid, gid)


def _set_group(gid: int) -> None:
    os.setresgid(gid, gid, gid) if hasattr(os, "setresgid") else os.setgid(gid)


def _set_user(uid: int) -> None:
    os.setresuid(uid, uid, uid) if hasattr(os, "setresuid") else os.setuid(uid)


def _can_go_back() -> bool:
    attempts: list[tuple[Callable[..., None], int | list[int]]] = [
        (os.seteuid, 0),
        (os.setuid, 0),
        (os.setgroups, [0]),
    ]
    for attempt, wanted in attempts:
        try:
            attempt(wanted)
        except OSError:
            continue
        return True
    return False


def _groups(uid: int | None, gid: int | None) -> list[int]:
    """The groups of user *uid*, or none of its own when nobody has that number, and *gid*."""
    own = [] if gid is None else [gid]
    if uid is None:
        return own
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return own
    return os.getgrouplist(name, _group_of(uid) if gid is None else gid)


def _group_of(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def _user_id(user: str) -> int:
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise SecurityError(f"unknown user '{user}'") from None


def _group_id(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise SecurityError(f"unknown group '{group}'") from None


def setcaps(text: str) -> None:
    """Give this thread, and those it starts, the capabilities *text* and no others.

    To be called before there are other threads; the text is libcap's, as in ``cap_net_bind_service=ep`` or ``=``.
    Raises ValueError for a text that it does not understand, PermissionError for capabilities that this process does
    not have, NotImplementedError where there is no libcap.  Manual: ``mtev_security_setcaps``."""
    library = _library()
    wanted = library.cap_from_text(text.encode())
    if not wanted:
        raise ValueError(f"'{text}': expected capabilities such as cap_net_bind_service=ep")
    try:
        if library.cap_set_proc(ctypes.c_void_p(wanted)) != 0:
            raise OSError(ctypes.get_errno(), f"capabilities '{text}': {os.strerror(ctypes.get_errno())}")
    finally:
        library.cap_free(ctypes.c_void_p(wanted))


def getcaps() -> str:
    """The capabilities of this thread, as libcap writes them."""
    library = _library()
    held = library.cap_get_proc()
    text = library.cap_to_text(ctypes.c_void_p(held), None)
    try:
        return ctypes.string_at(text).decode()
    finally:
        library.cap_free(ctypes.c_void_p(text))
        library.cap_free(ctypes.c_void_p(held))


def _library() -> Any:
    name = "libcap.so.2" if sys.platform == "linux" else None
    try:
        if name is None:
            raise OSError
        library = ctypes.CDLL(name, use_errno=True)
    except OSError:
        raise NotImplementedError("capabilities need Linux and libcap") from None
    for each in ("cap_from_text", "cap_get_proc", "cap_to_text"):
        getattr(library, each).restype = ctypes.c_void_p
    return library
