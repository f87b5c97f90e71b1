"""A server with consoles, as the recorded one was: ``python program.py DIRECTORY PLAIN TELNET WEB``, three ports."""

import sys

from luamtev.modules import register
from runtime import conf, main

CONFIGURATION = """\
<?xml version="1.0" encoding="utf8" standalone="yes"?>
<example1 lockfile="{directory}/lock">
  <eventer><config><concurrency>1</concurrency>
    <jobq_default_queue>1,1,2</jobq_default_queue></config></eventer>
  <logs>
    <log name="internal" type="memory" path="10000,100000"/>
    <console_output><outlet name="stderr"/><outlet name="internal"/><log name="error"/>
      <log name="debug" disabled="true"/></console_output>
    <log name="demo" disabled="true"><outlet name="internal"/><log name="demo/child"/></log>
    <log name="http/access" type="file" path="{directory}/access.log"/>
  </logs>
  <modules>
    <generic image="lua_mtev" name="lua_general">
      <config><directory>{directory}/?.lua;{{package.path}}</directory>
        <lua_module>idle</lua_module><lua_function>main</lua_function></config>
    </generic>
  </modules>
  <listeners>
    <consoles type="mtev_console">
      <listener address="127.0.0.1" port="{telnet}"><config><line_protocol>telnet</line_protocol></config></listener>
      <listener address="127.0.0.1" port="{plain}"/>
    </consoles>
    <listener type="http_rest_api" address="127.0.0.1" port="{web}" ssl="off"/>
  </listeners>
  <rest><acl><rule type="allow"/></acl></rest>
  <shop name="corner"><shelf id="a">apples</shelf><shelf id="b">bread</shelf><till>closed</till></shop>
</example1>
"""

IDLE = """\
module(..., package.seeall)
function main()
  mtev.log("error", "started\\n")
  while true do mtev.sleep(1) end
end
"""

if __name__ == "__main__":
    directory, plain, telnet, web = sys.argv[1:5]
    register()
    with open(f"{directory}/idle.lua", "w") as out:
        out.write(IDLE)
    with open(f"{directory}/program.conf", "w") as out:
        out.write(CONFIGURATION.format(directory=directory, plain=plain, telnet=telnet, web=web))
    main.terminate(main.run(conf.load(f"{directory}/program.conf")))
