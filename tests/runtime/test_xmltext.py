"""XML from elsewhere: the parser reads nothing but the text."""

import os
from pathlib import Path

import pytest
from lxml import etree

from runtime import xmltext

FORMS = {
    '<!DOCTYPE a SYSTEM "URL"><a>1</a>': "taken",
    '<!DOCTYPE a PUBLIC "-//x" "URL"><a>1</a>': "taken",
    '<!DOCTYPE a SYSTEM "URL" [<!ENTITY e "in">]><a>&e;</a>': "taken",
    '<!DOCTYPE a [<!ENTITY e SYSTEM "URL">]><a>1</a>': "taken",
    '<!DOCTYPE a [<!ENTITY e SYSTEM "URL">]><a>&e;</a>': "outside",
    '<!DOCTYPE a [<!ENTITY % p SYSTEM "URL"> %p;]><a>1</a>': "outside",
    '<!DOCTYPE a [<!ENTITY e SYSTEM "URL"><!ENTITY f "&e;">]><a>&f;</a>': "outside",
    '<!DOCTYPE a SYSTEM "URL"><a>&e;</a>': "refused",
    '<!DOCTYPE a [<!ENTITY e SYSTEM "URL">]><a b="&e;"/>': "refused",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scheme", ["", "file://", "http://127.0.0.1:9"])
def test_nothing_outside_of_the_text_is_read(tmp_path: Path, form: str, scheme: str) -> None:
    os.mkfifo(tmp_path / "fifo")  # who opens it for reading waits for ever
    url = f"{scheme}{tmp_path}/fifo"
    try:
        etree.fromstring(form.replace("URL", url), xmltext.parser())
        found = "taken"
    except etree.XMLSyntaxError:
        found = "refused"
    except xmltext.OutsideError as outside:
        assert str(outside) == url
        found = "outside"
    assert found == FORMS[form]


def test_a_parser_goes_on_after_a_refusal(tmp_path: Path) -> None:
    parser = xmltext.parser(strip_cdata=False)
    with pytest.raises(xmltext.OutsideError):
        etree.fromstring('<!DOCTYPE a [<!ENTITY e SYSTEM "x">]><a>&e;</a>', parser)
    text = "<!DOCTYPE a [<!ENTITY % more \"<!ENTITY own 'two'>\"> %more;]><a>one &own;</a>"
    assert etree.fromstring(text, parser).text == "one two"
