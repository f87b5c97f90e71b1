"""``/eventer/logs/NAME.json``: what a memory log holds."""

from runtime import log
from runtime.http import Request, Response

from ._answer import answer


def logs(request: Request, response: Response) -> None:
    """``GET /eventer/logs/NAME.json?last=N&since=I``.  Manual: Log Types, memory."""
    captured = request.captures[0]
    assert captured is not None
    name = captured.decode("utf-8", "replace")
    kept = log.stream_find(name).ctx if log.stream_exists(name) else None
    if not isinstance(kept, log.Memory):
        answer(response, {"error": f"there is no memory log '{name}'"}, 404)
        return
    try:
        since, last = _number(request, "since"), _number(request, "last")
    except ValueError as mistake:
        answer(response, {"error": str(mistake)}, 400)
        return
    answer(
        response,
        [
            {"idx": index, "whence": str(when // 1_000_000), "line": line.decode("utf-8", "replace")}
            for index, when, line in kept.entries(since, last)
        ],
    )


def _number(request: Request, key: str) -> int | None:
    text = request.querystring(key)
    if text is None:
        return None
    if not text.isdigit() or len(text) > 18:
        raise ValueError(f"{key}: expected a whole number")
    return int(text)
