"""Which requests are traced: in percent, those without a trace of their own, with one, and with a debug flag.

Manual: Zipkin; Console, ``mtev zipkin``."""

new = 0.0
parented = 100.0
debug = 100.0
