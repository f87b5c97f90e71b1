"""UUIDs.  Manual: mtev_uuid_generate."""

from uuid import UUID, uuid4


def generate() -> UUID:
    """One of version 4: at random.  Manual: mtev_uuid_generate."""
    return uuid4()


def parse(text: str) -> UUID | None:
    """None for what is no uuid of 36 characters.  Manual: mtev_uuid_parse."""
    if len(text) != 36 or any(text[each] != "-" for each in (8, 13, 18, 23)):
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def is_null(uuid: UUID) -> bool:
    """Manual: mtev_uuid_is_null."""
    return uuid.int == 0


def compare(one: UUID, other: UUID) -> int:
    """-1, 0 or 1.  Manual: mtev_uuid_compare."""
    return (one.int > other.int) - (one.int < other.int)


def unparse(uuid: UUID) -> str:
    """Manual: mtev_uuid_unparse, mtev_uuid_unparse_lower."""
    return str(uuid)


def unparse_upper(uuid: UUID) -> str:
    """Manual: mtev_uuid_unparse_upper."""
    return str(uuid).upper()
