"""The grammar of a layer: which versions of TLS it leaves."""

import ssl

import pytest

from runtime.tls import apply_layer

V1, V11, V12, V13 = (getattr(ssl.TLSVersion, name) for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"))
ANY = ssl.TLSVersion.MAXIMUM_SUPPORTED


@pytest.mark.parametrize(
    ("layer", "least", "most"),
    [
        ("", V12, ANY),
        ("all", V12, ANY),
        ("tlsv1:all,!sslv2,!sslv3", V12, ANY),  # the original's first default
        ("tlsv1:all,>=tlsv1.2,!all,!sslv3,!sslv2", V12, ANY),  # and its second
        ("tlsv1.2", V12, ANY),
        ("tlsv1.1", V11, ANY),
        ("tlsv1:tlsv1.1", V11, ANY),
        ("TLSv1:all, !TLSv1.2", V13, ANY),
        ("tlsv1:=tlsv1.2", V12, V12),
        ("tlsv1:all,=TLSv1.3", V13, ANY),
        ("tlsv1:all,>=tlsv1.3", V13, ANY),
        ("tlsv1:all,>=tlsv1", V1, ANY),
        ("tlsv1:all,<=tlsv1.2", V12, V12),
        ("tlsv1:all,<=tlsv1.1", V11, V11),
        ("tlsv1:all,>=tlsv1.1,<=tlsv1.2", V11, V12),
        ("tlsv1:all,!tlsv1.3", V12, V12),
        ("tlsv1.2:cipher_server_preference", V12, ANY),
    ],
)
def test_versions_that_a_layer_leaves(layer: str, least: ssl.TLSVersion, most: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    apply_layer(context, layer)
    assert (context.minimum_version, context.maximum_version) == (least, most)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("sslv3", "expected tlsv1"),
        ("tlsv1:all,>=tlsv9", "there is no option '>=tlsv9'"),
        ("tlsv1:all,>tlsv1.2", "there is no option '>tlsv1.2'"),
        ("tlsv1:all,!tlsv1.2,!tlsv1.3", "leaves no version"),
        ("tlsv1:>=tlsv1.3,<=tlsv1.2,!tlsv1.2", "leaves no version"),
    ],
)
def test_a_layer_that_means_nothing_is_named(layer: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"layer '{layer}'.*{message}"):
        apply_layer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), layer)
