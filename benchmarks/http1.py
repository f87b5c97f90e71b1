"""Requests a second of one loop thread: ``python benchmarks/http1.py [SECONDS]``, with wrk installed.

Rows: a handler that answers at once, the same ended later from the loop, with the access log to a file, a file of 4 KB.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from runtime import conf, eventer, http, log, net
from runtime.http import Request, Response

BODY = b"Hello World"


def hello(_request: Request, response: Response) -> None:
    """Answers at once."""
    response.header("Content-Type", "text/plain")
    response.write(BODY)
    response.flush_end()


def later(request: Request, response: Response) -> None:
    """Answers from a later turn of the loop."""
    eventer.add_in(lambda *_: hello(request, response), None, 0.0)


def measured(url: str, seconds: int) -> float:
    """Requests a second that wrk got from *url*."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(output)
    return float(output.partition("Requests/sec:")[2].split()[0])


def main() -> None:
    """Print a row for each kind of request."""
    if shutil.which("wrk") is None:
        raise SystemExit("benchmarks/http1.py needs wrk")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    log.init()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "file.txt").write_bytes(b"x" * 4096)
        http.configure(conf.loads(b'<app><rest><acl type="deny"><rule type="allow" url="^/"/></acl></rest></app>'))
        http.mount("GET", "/", "^hello$", hello)
        http.mount("GET", "/", "^later$", later)
        eventer.pool_create("default", 1)
        eventer.start()
        listener = net.open_listener("http_rest_api", "127.0.0.1", 0, {"document_root": directory})
        listener.start()
        base = f"http://127.0.0.1:{listener.port}"
        for path in ("/hello", "/later", "/file.txt"):
            print(f"http{path} {measured(base + path, seconds):.0f}", flush=True)
        log.new_stream("http/access", type="file", path=str(Path(directory, "access")))
        print(f"http/hello+access {measured(base + '/hello', seconds):.0f}", flush=True)
        net.stop_accepting()
        eventer.stop()
        log.close_all()


if __name__ == "__main__":
    main()
