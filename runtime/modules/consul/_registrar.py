"""Keeps services registered with the agent and their states told, on a thread of its own: nobody else waits."""

import threading
import time
from typing import Final
from urllib.parse import quote

from runtime import log, stats

from ._agent import Agent, AgentError, escaped
from ._service import STATES, Check, Service

AGAIN: Final = 1.0
"""Seconds before what failed is tried again."""

_errors: Final = log.facility("error/consul")
_registrations = stats.counter("consul.registrations")
_pushes = stats.counter("consul.pushes")
_failures = stats.counter("consul.failures")


class Registrar:
    """With *agent*.  Methods are for any thread, and do not wait unless they say so."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._services: dict[str, Service] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="consul", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def find(self, service_id: str) -> Service | None:
        """The service of that id, among those that were registered."""
        return self._services.get(service_id)

    def services(self) -> list[Service]:
        """All of them."""
        return list(self._services.values())

    def register(self, service: Service) -> None:
        """Have *service* registered, now or as soon as the agent takes it; one of the same id before it is replaced."""
        with self._changed:
            self._services[service.id] = service
            service.wanted, service.registered, service.due = True, False, 0.0
            self._changed.notify()

    def deregister(self, service: Service) -> None:
        """Have it no more."""
        with self._changed:
            service.wanted = False
            service.due = 0.0
            self._changed.notify()

    def set_state(self, service: Service, index: int, state: str, note: str = "") -> None:
        """Check *index*, from 0, is passing, warning or critical; the agent is told at once.

        Raises ValueError for a check that there is not."""
        if not 0 <= index < len(service.checks):
            raise ValueError(f"{service.id} has {len(service.checks)} checks, and no check {index}")
        with self._changed:
            check = service.checks[index]
            check.state, check.note, check.due = state, note, 0.0
            self._changed.notify()

    def stop(self, timeout: float) -> None:
        """Deregister everything; waits up to *timeout* seconds."""
        with self._changed:
            self._stopping = True
            for each in self._services.values():
                each.wanted, each.due = False, 0.0
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                services = list(self._services.values())
                waits = [each for each in map(self._due, services) if each is not None]
                if self._stopping and not services:
                    return
                now = time.monotonic()
                wait = min(waits, default=None)
                if wait is None or wait > now:
                    self._changed.wait(None if wait is None else wait - now)
                    continue
            for each in services:
                self._tend(each)

    def _due(self, service: Service) -> float | None:
        """When there is something to do for *service* next."""
        if not service.wanted or not service.registered:
            return service.due
        pushed = [each.due for each in service.checks if each.push]
        return min(pushed, default=None)

    def _tend(self, service: Service) -> None:
        now = time.monotonic()
        try:
            if not service.wanted:
                if service.due <= now:
                    self._remove(service)
            elif not service.registered and service.due <= now:
                self._agent.put("service/register", service.document())
                _registrations.add()
                service.registered, service.told = True, ""
                log.notice.log(f"consul: service {service.id} registered\n")
            if service.wanted and service.registered:
                for index, check in enumerate(service.checks):
                    if check.push and check.due <= now:
                        self._push(service, index, check, now)
        except AgentError as failure:
            _failures.add()
            service.due = now + AGAIN
            service.registered = False  # an agent that forgot it, or was away, gets it again
            if self._stopping:
                self._services.pop(service.id, None)
            if str(failure) != service.told:  # the same again is no news
                service.told = str(failure)
                _errors.log(f"{service.id}: {failure}; trying again every {AGAIN:g} s\n")

    def _push(self, service: Service, index: int, check: Check, now: float) -> None:
        check.due = now + check.push
        path = f"check/{STATES[check.state]}/{quote(service.check_id(index), safe=':')}"
        self._agent.put(path, note=check.note)
        _pushes.add()

    def _remove(self, service: Service) -> None:
        self._agent.put(f"service/deregister/{escaped(service.id)}", None)
        with self._changed:
            if self._services.get(service.id) is service and not service.wanted:
                del self._services[service.id]
        service.registered = False
