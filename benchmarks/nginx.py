"""nginx with its Lua module, from Debian's packages, unpacked into a folder: installing it would replace LuaJIT."""

import subprocess
from pathlib import Path

PACKAGES = (
    "nginx",
    "libnginx-mod-http-lua",
    "libnginx-mod-http-ndk",
    "libluajit2-5.1-2",
    "libpcre3",
    "lua-resty-core",
    "lua-resty-lrucache",
)

CONFIGURATION = """\
user root; daemon off; worker_processes 1; pid {here}/pid; error_log {here}/errors;
load_module {root}/usr/lib/nginx/modules/ndk_http_module.so;
load_module {root}/usr/lib/nginx/modules/ngx_http_lua_module.so;
events {{}}
http {{
  client_body_temp_path {here}/t1; proxy_temp_path {here}/t2; fastcgi_temp_path {here}/t3;
  uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;
  lua_package_path "{root}/usr/share/lua/5.1/?.lua;;";
  access_log {here}/access.log;
  keepalive_requests 1000000000;
  ssl_certificate {certificate}; ssl_certificate_key {key};
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{tls} ssl http2;
    listen 127.0.0.1:{h2c} http2;
    location = /hello {{ default_type text/plain; content_by_lua_block {{ ngx.print("Hello World") }} }}
  }}
}}
"""


def unpacked(folder: Path) -> Path | None:
    """The folder with the packages in it; None where they cannot be had."""
    root = folder / "nginx"
    if (root / "usr/sbin/nginx").exists():
        return root
    root.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=root, check=True, capture_output=True)
        for package in root.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, root], check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return root


def start(root: Path, here: Path, ports: dict[str, int], certificate: Path, key: Path) -> "subprocess.Popen[bytes]":
    """nginx on *ports* (plain, tls, h2c), with one worker."""
    here.mkdir(parents=True, exist_ok=True)
    text = CONFIGURATION.format(root=root, here=here, certificate=certificate, key=key, **ports)
    (here / "nginx.conf").write_text(text)
    libraries = ":".join(str(root / each) for each in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
    libraries += ":" + ":".join(str(root / each) for each in ("usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu"))
    return subprocess.Popen(
        [root / "usr/sbin/nginx", "-p", here, "-c", "nginx.conf", "-e", "errors"], env={"LD_LIBRARY_PATH": libraries}
    )
