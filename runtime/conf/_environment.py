"""require_env: parts of the configuration that hold in some environments only.

Manual: Controlling sections of config via the environment.
"""

import os
import re

_EXPRESSION = re.compile(r"(!?)([^!=~\s][^=~]*)(?:([=~])(.*))?", re.DOTALL)


def holds(expression: str) -> bool:
    """Whether the process environment is as *expression* asks.

    ``VAR`` wants the variable set, ``VAR=value`` equal, ``VAR~regex`` (PCRE) matched; a leading ``!`` wants the
    opposite.  Raises ValueError for an expression that is none of these."""
    parsed = _EXPRESSION.fullmatch(expression)
    if not parsed:
        raise ValueError("expected VAR, VAR=value or VAR~regex, or one of these after a !")
    negation, variable, operator, operand = parsed.groups()
    found = os.environ.get(variable)
    if operator == "=":
        result = found == operand
    elif operator == "~":
        result = _matches(operand, found)
    else:
        result = found is not None
    return result != bool(negation)


def _matches(regex: str, value: str | None) -> bool:
    import pcre2  # few configurations need it, and none should wait for it

    try:
        pattern = pcre2.compile(os.fsencode(regex))
        return value is not None and pattern.search(os.fsencode(value)) is not None
    except pcre2.LibraryError as bad:
        raise ValueError(f"bad regular expression: {bad}") from None
