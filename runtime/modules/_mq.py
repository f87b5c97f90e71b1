"""The ``<network><mq type="TYPE">`` elements of the configuration.  Manual: amqp, fq."""

from collections.abc import Collection

from runtime import conf
from runtime.conf import names


def brokers(kind: str, known: Collection[str]) -> list[dict[str, str]]:
    """What stands in each ``<mq type="KIND">``, in order.

    Raises :exc:`runtime.conf.ConfError` with the line of an element that is not among *known*."""
    configuration = conf.current()
    found: list[dict[str, str]] = []
    for section in configuration.get_sections(f"//network//mq[@type='{kind}']"):
        if configuration.env_off(section):
            continue
        settings: dict[str, str] = {}
        for child in section.iterchildren("*"):
            tag = str(child.tag)
            if tag not in known:
                nearest = names.names(*known).nearest(tag)
                raise configuration.error(f'<mq type="{kind}">: there is no element {tag}, expected {nearest}', child)
            settings[tag] = configuration.get_string("self::node()", child) or ""
        found.append(settings)
    return found
