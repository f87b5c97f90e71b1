"""A Lua web service under load: ``python benchmarks/web.py [SECONDS]``, with wrk, and beside nginx where that is.

Rows are ``name value``: requests a second of one loop thread and 32 connections, the access log on, and of more; the
99th percentile in milliseconds; resident memory after the run.
"""

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

HERE = Path(__file__).parent
PORT = 18391
CONFIGURATION = """\
<cli>
  <eventer><config><concurrency>{threads}</concurrency></config></eventer>
  <logs>
    <console_output><outlet name="stderr"/><log name="error"/></console_output>
    <log name="http/access" type="file" path="{directory}/access.log"/>
  </logs>
  <modules>
    <generic image="lua_mtev" name="lua_general">
      <config><lua_module>idle</lua_module><lua_function>main</lua_function></config>
    </generic>
    <generic image="lua_mtev" name="lua_web">
      <config>
        <directory>{here}/web/?.lua;{{package.path}}</directory>
        <mount_hello>hello_web:GET:/:^hello$</mount_hello>
        <mount_json>json_web:POST:/:^json$</mount_json>
      </config>
    </generic>
  </modules>
  <listeners>
    <listener type="http_rest_api" address="127.0.0.1" port="{port}" fanout="true">
      <config><document_root>{directory}</document_root></config>
    </listener>
  </listeners>
  <rest><acl><rule type="allow"/></acl></rest>
</cli>
"""
NGINX = """\
user root; daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/errors;
{load}
events {{}}
http {{
  access_log {directory}/nginx.log;
  server {{
    listen 127.0.0.1:{port}; root {directory};
    location = /hello {{ default_type text/plain; {hello} }}
  }}
}}
"""
POST = 'wrk.method = "POST" wrk.body = \'{{"name": "a name", "values": [1, 2, 3, 4.5], "nested": {{"a": null}}}}\'\n'


def measured(path: str, seconds: int, threads: int = 1, script: str | None = None) -> tuple[float, float]:
    """Requests a second that wrk got from *path*, and the 99th percentile in milliseconds."""
    command = ["wrk", f"-t{threads}", "-c32", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{PORT}{path}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script is not None:
            file.write(script)
            file.flush()
            command[1:1] = ["-s", file.name]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(output)
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()  # type: ignore[union-attr]
    return float(output.partition("Requests/sec:")[2].split()[0]), float(value) * {"us": 0.001, "ms": 1, "s": 1000}[
        unit
    ]


def await_port() -> None:
    for _ in range(200):
        try:
            urlopen(f"http://127.0.0.1:{PORT}/file.txt").close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("nobody listens")


def resident(pid: int) -> float:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def luamtev(directory: str, threads: int) -> "subprocess.Popen[bytes]":
    """The program, serving."""
    Path(directory, "idle.lua").write_text("module(..., package.seeall)\nfunction main() end\n")
    Path(directory, "web.conf").write_text(
        CONFIGURATION.format(directory=directory, here=HERE.resolve(), port=PORT, threads=threads)
    )
    process = subprocess.Popen([sys.executable, "-m", "luamtev", "-c", "web.conf", "idle.lua"], cwd=directory)
    await_port()
    return process


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def nginx(directory: str, seconds: int) -> None:
    """The same from nginx, with its Lua module where that is installed."""
    module = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")
    if shutil.which("nginx") is None:
        return
    if module.exists():
        load = f"load_module /usr/lib/nginx/modules/ndk_http_module.so; load_module {module};"
        hello = "content_by_lua_block { ngx.print('Hello World') }"
    else:
        load, hello = "", "return 200 'Hello World';"
    Path(directory, "nginx.conf").write_text(NGINX.format(directory=directory, port=PORT, load=load, hello=hello))
    process = subprocess.Popen(["nginx", "-p", directory, "-c", "nginx.conf", "-e", "errors"])
    await_port()
    name = "nginx+lua" if load else "nginx"
    for path in ("/hello", "/file.txt"):
        print(f"{name}{path} {measured(path, seconds)[0]:.0f}", flush=True)
    process.terminate()
    process.wait(30)


def main() -> None:
    """Print all rows."""
    if shutil.which("wrk") is None:
        raise SystemExit("benchmarks/web.py needs wrk")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "file.txt").write_bytes(b"x" * 4096)
        process = luamtev(directory, 1)
        rate, late = measured("/hello", seconds)
        print(f"hello {rate:.0f}\nhello-p99-ms {late:.2f}", flush=True)
        print(f"static-4KB {measured('/file.txt', seconds)[0]:.0f}", flush=True)
        print(f"json-echo {measured('/json', seconds, script=POST.format())[0]:.0f}", flush=True)
        print(f"resident-MB {resident(process.pid):.1f}", flush=True)
        stop(process)
        for threads in (2, 4, 8):
            process = luamtev(directory, threads)
            print(f"hello-{threads}-threads {measured('/hello', seconds)[0]:.0f}", flush=True)
            stop(process)
        nginx(directory, seconds)


if __name__ == "__main__":
    main()
