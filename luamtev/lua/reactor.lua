-- Readiness of descriptors, for coroutines:
--
--   reactor.wait(fd, mask, timeout)   parks until fd is ready for mask (reactor.READ or reactor.WRITE); returns the mask,
--                                     nothing when the time is up, false when the descriptor was forgotten meanwhile
--   reactor.forget(fd)                to be called before fd is closed; wakes whoever waits for it
--   reactor.drained(fd)               to be called by whoever emptied a stream (it gave less than was asked for);
--   reactor.quiet[fd]                 is true from then until there is news: reading is no use
--   kernel.poll()                     moves tasks whose descriptors are ready into the ready queue
--   reactor.fd                        the one descriptor the event loop watches for all of this; nil if there is none
--
-- On Linux that is epoll's (reactor_epoll.lua), elsewhere the hub's own watchers (reactor_hub.lua).

local home = ...

return home.need(home.settings.reactor == "epoll" and "reactor_epoll" or "reactor_hub")
