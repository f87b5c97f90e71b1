"""What ``<eventer><config>`` asked for, for whoever uses it.  How that is read, ``_config`` knows.  Manual: Eventer."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._config import JobqSetting, LoopSetting

DEFAULT_QUEUE = "default_queue"


class Settings:
    """What the configuration asks for.  Times are in seconds.

    Attributes: ``debugging``; ``turn_budget``, what one party may take of a turn of a loop;
    ``recurrent_interval``, how long a turn may last that recurrent events wait for; ``loop_threshold`` and
    ``jobq_threshold``, from which callbacks are logged as slow, or None for never; ``rlim_nofiles``, or None when not
    given; ``default_queue_threads``; ``concurrency`` (0 for one a processor); ``loops``; ``jobqs``; ``lifo``, the
    default order; ``default_ca_chain``, a path; ``ssl_ctx_cache_expiry``; ``dhparam_files``, paths by
    key; ``shutdown_timeout``, within which a process that is told to end does, though a loop does not turn."""

    def __init__(self) -> None:
        self.debugging = False
        self.turn_budget = 0.005
        self.recurrent_interval = 0.01
        self.loop_threshold: float | None = 0.0
        self.jobq_threshold: float | None = 0.0
        self.rlim_nofiles: int | None = None
        self.default_queue_threads = 10
        self.concurrency = 0
        self.loops: dict[str, LoopSetting] = {}
        self.jobqs: dict[str, JobqSetting] = {}
        self.lifo = False
        self.default_ca_chain: str | None = None
        self.ssl_ctx_cache_expiry = 5.0
        self.shutdown_timeout = 2.0
        self.dhparam_files: dict[str, str] = {}

    def slow_callback(self, seconds: float) -> bool:
        """Whether a callback on a loop that took so long is to be logged."""
        return self.loop_threshold is not None and seconds >= self.loop_threshold

    def slow_job(self, seconds: float) -> bool:
        """Whether a job that took so long is to be logged."""
        return self.jobq_threshold is not None and seconds >= self.jobq_threshold


current = Settings()
"""Those in force.  Replaced as a whole, by :func:`use`."""


def use(settings: Settings) -> None:
    """Put *settings* in force."""
    global current
    current = settings
