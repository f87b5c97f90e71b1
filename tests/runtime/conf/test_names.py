"""Names that nobody knows: errors with file, line and the nearest right name."""

import re
from pathlib import Path

import pytest

from runtime import conf, log
from runtime.conf import names

COMPLETE = """\
<app>
  <listeners type="http_rest_api" my_own="open" id="x">
    <config><anything>1</anything></config>
    <sslconfig><layer>all</layer></sslconfig>
    <consoles require_env="!SURELY_NOT_SET">
      <listener address="127.0.0.1" port="1"/>
    </consoles>
    <web note="open" address="*">
      <listener port="0" ssl="on" fanout="on" fanout_pool="p" accept_thread="off" no_delay="on" idle_timeout="1"
                backlog="5" require_env="!SURELY_NOT_SET" id="l" inherit="x">
        <config><whatever>is wanted</whatever></config>
        <sslconfig>
          <certificate_file/><key_file/><ca_chain/><crl/><ciphers/><npn/><optional_no_ca/><layer/>
          <alpn/><layer_openssl_10/><layer_openssl_11/>
        </sslconfig>
      </listener>
    </web>
    <empty/>
  </listeners>
  <logs dedup_seconds="0">
    <console_output>
      <outlet name="stderr" filter="ne(message,'x')"/>
      <log name="error" type="file" path="x" format="json" debug="on" timestamps="on" facility="on" disabled="on"
           stats="on" dedup_seconds="1" rotate_seconds="1" rotate_bytes="1" retain_seconds="1" retain_bytes="1">
        <config><segment_size>1</segment_size></config>
      </log>
    </console_output>
  </logs>
  <rest>
    <acl type="allow" url="x" ip="::/0" cn="x" user="x" auth="x" listener_anything="x">
      <here><rule type="deny" url="x" skipto="later"/></here>
      <rule id="later" type="allow"/>
    </acl>
  </rest>
  <modules directory="d">
    <some><generic image="i" name="n" directory="d" loader="C"><config><any/></config></generic></some>
    <module image="i" name="n"/><loader image="i" name="n"/>
  </modules>
  <of_the_applications_own adress="open"><listener adress="open"/><rule urll="open"/></of_the_applications_own>
</app>
"""


def test_what_is_known_passes() -> None:
    names.check(conf.loads(COMPLETE.encode()))


WRONG = [
    ("listeners", '<listener adress="x" port="1"/>', "<listener>: there is no attribute adress, expected address"),
    ("listeners", '<listener prot="1"/>', "<listener>: there is no attribute prot, expected port"),
    ("listeners", '<listener colour="1"/>', "<listener>: there is no attribute colour, expected "),
    (
        "listeners",
        '<web adress="x"><listener port="1"/></web>',
        "<web> adress: there is no such attribute, expected address",
    ),
    ("listeners", '<listner port="1"/>', "<listeners>: there is no <listner>, expected <listener>"),
    ("listeners", '<web><listner port="1"/><listener port="2"/></web>', "there is no <listner>, expected <listener>"),
    ("listeners", '<server port="1"/>', "there is no <server>, expected <listener>"),
    ("listeners", "<listener><sslcfg/></listener>", "<listener>: there is no element sslcfg, expected sslconfig"),
    ("listeners", "<listener><conf/></listener>", "<listener>: there is no element conf, expected config"),
    (
        "listeners",
        "<listener><sslconfig><certificat_file/></sslconfig></listener>",
        "<listener> <sslconfig>: there is no key certificat_file, expected certificate_file",
    ),
    ("logs", '<log name="x" disable="true"/>', "<log>: there is no attribute disable, expected disabled"),
    ("logs", '<log nam="x"/>', "<log>: there is no attribute nam, expected name"),
    ("logs", '<log name="x"><outlets name="error"/></log>', "<log>: there is no element outlets, expected outlet"),
    ("logs", '<lgo name="x"/>', "<logs>: there is no <lgo>, expected <log>"),
    ("logs", '<outlet nmae="x"/>', "<outlet>: there is no attribute nmae, expected name"),
    ("logs", '<outlet name="x" filtre="x"/>', "<outlet>: there is no attribute filtre, expected filter"),
    (
        "logs",
        '<group timestamp="on"><log name="x"/></group>',
        "<group> timestamp: there is no such attribute, expected timestamps",
    ),
    ("rest", '<acl><rule type="allow" urll="^/x"/></acl>', "<rule>: there is no attribute urll, expected url"),
    ("rest", '<acl><rule type="allow" cidr="10.0.0.0/8"/></acl>', "<rule>: there is no attribute cidr, expected "),
    ("rest", '<acl><rule type="allow" method="GET"/></acl>', "<rule>: there is no attribute method, expected "),
    (
        "rest",
        '<acl><rule type="allow" listner_x="GET"/></acl>',
        "<rule>: there is no attribute listner_x, expected listener_",
    ),
    ("rest", '<acl typ="allow"/>', "<acl>: there is no attribute typ, expected type"),
    ("rest", '<alc type="allow"><rule type="deny"/></alc>', "there is no <alc> with a <rule>, expected <acl>"),
    ("rest", '<rule type="deny"/>', "<rule> means nothing outside of <acl>"),
    ("rest", '<acls type="allow"/>', "there is no <acls>, expected <acl>"),
    ("rest", '<acl><rul type="deny"/><rule type="allow"/></acl>', "there is no <rul>, expected <rule>"),
    ("modules", '<generic image="i" nam="n"/>', "<generic>: there is no attribute nam, expected name"),
    ("modules", '<generic img="i" name="n"/>', "<generic>: there is no attribute img, expected "),
    ("modules", '<generik image="i" name="n"/>', "there is no <generik>, expected <generic>"),
]


@pytest.mark.parametrize(("top", "inner", "message"), WRONG, ids=[f"{top}-{inner}" for top, inner, _ in WRONG])
@pytest.mark.parametrize("included", [False, True], ids=["here", "included"])
def test_what_is_not_known_is_an_error(tmp_path: Path, top: str, inner: str, message: str, included: bool) -> None:
    file = tmp_path / "app.conf"
    if included:
        (tmp_path / "part.conf").write_text(f"<part>\n{inner}\n</part>")
        file.write_text(f'<app><{top}><include file="part.conf"/></{top}></app>')
    else:
        file.write_text(f"<app><{top}>\n{inner}</{top}></app>")
    with pytest.raises(conf.ConfError, match=re.escape(message)) as caught:
        names.check(conf.load(file))
    assert str(caught.value).startswith(f"{tmp_path / 'part.conf' if included else file}:2: ")


def test_an_include_has_names_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "part.conf").write_text("<part/>")
    (tmp_path / "app.conf").write_text('<app><include file="part.conf" readonly="true"/></app>')
    with pytest.raises(conf.ConfError, match="<include>: there is no attribute readonly, expected ro"):
        names.check(conf.load(tmp_path / "app.conf"))


def test_what_means_nothing_here_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "notices"
    log.notice.add_outlet(log.new_stream("test/notice", type="file", path=str(path)))
    log.notice.set_flags(log.notice.get_flags() | log.ENABLED)
    rules = '<rule name="a" type="deny"/><rule name="b" type="deny"/>'
    names.check(conf.loads(f"<app><rest><acl>{rules}</acl></rest></app>".encode()))
    assert path.read_text() == "<rule> name: skipto goes to an id\n"


def test_what_the_environment_turns_off_is_not_looked_at() -> None:
    names.check(conf.loads(b'<app><rest><acl require_env="SURELY_NOT_SET"><rule urll="x"/></acl></rest></app>'))


def test_a_reload_that_has_one_keeps_the_old_tree(tmp_path: Path) -> None:
    file = tmp_path / "app.conf"
    file.write_text('<app><rest><acl type="deny"/></rest></app>')
    configuration = conf.load(file)
    configuration.hold_against(names.check)
    file.write_text('<app><rest><acl typ="allow"/></rest></app>')
    with pytest.raises(conf.ConfError, match=r"app\.conf:1: <acl>: there is no attribute typ, expected type"):
        configuration.reload()
    assert configuration.get_string("//acl/@type") == "deny"
    file.write_text('<app><rest><acl type="allow"/></rest></app>')
    configuration.reload()
    assert configuration.get_string("//acl/@type") == "allow"


def test_rooms_close_what_they_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_kinds", {})
    names.close("of_mine", "thing", attributes=names.names("colour"), keys={"config": names.names("size")})
    text = '<app><of_mine><thing colour="red"><config><{0}>1</{0}></config></thing></of_mine></app>'
    names.check(conf.loads(text.format("size").encode()))
    with pytest.raises(conf.ConfError, match="<thing> <config>: there is no key siez, expected size"):
        names.check(conf.loads(text.format("siez").encode()))


def test_rooms_close_an_element_below_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_tops", {})
    names.close_top("of_mine", keys={"config": names.names("size")})
    text = "<app><of_mine{1}><config><{0}>1</{0}></config></of_mine></app>"
    names.check(conf.loads(text.format("size", "").encode()))
    with pytest.raises(conf.ConfError, match="<of_mine> <config>: there is no key siez, expected size"):
        names.check(conf.loads(text.format("siez", "").encode()))
    names.check(conf.loads(text.format("siez", ' require_env="SURELY_NOT_SET"').encode()))
