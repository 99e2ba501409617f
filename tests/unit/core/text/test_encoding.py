"""How an article's bytes are read: which encoding, and the copy in which ASCII bytes are ASCII characters."""

from codecs import lookup

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webencodings.labels import LABELS

from mediasvc.core.text.encoding import read_source
from mediasvc.errors import InvalidRequest

SIMPLIFIED = "港口的夜晚很安静，我们沿着码头走了很久，灯火在水面上摇晃。许功盖"
TRADITIONAL = "港口的夜晚很安靜，我們沿著碼頭走了很久，燈火在水面上搖晃。許功蓋"
WESTERN = "Déjà l'été: à la plage, où la mer était calme et l'air léger. Bébé rêvait."


@pytest.mark.parametrize(
    ("article", "encoding"),
    [
        (b"plain", "utf-8"),
        (b"", "utf-8"),
        (SIMPLIFIED.encode(), "utf-8"),
        (b"\xef\xbb\xbf" + SIMPLIFIED.encode("gbk"), "utf-8"),
        (SIMPLIFIED.encode() * 9 + b"\xff\xfe broken \xe4\xb8", "utf-8"),
        (SIMPLIFIED.encode("gbk"), "gb18030"),
        ((SIMPLIFIED * 4 + "㐀𠀀").encode("gb18030"), "gb18030"),
        (TRADITIONAL.encode("big5"), "big5hkscs"),
        (WESTERN.encode("latin-1"), "cp1252"),
        (b"caf\xe9", "cp1252"),
        ('<img src="http://a/中.jpg">'.encode("gbk"), "gb18030"),
        ("<p>Zélande, Léa, Noël</p>".encode("latin-1"), "cp1252"),
        (b'<META HTTP-EQUIV=x content="text/html; charset=GB2312">' + b"\xb8\xdb", "gb18030"),
        (b"<meta charset=big5>ascii only", "big5hkscs"),
        (b"<meta charset='windows-1251'>\xef\xf0\xe8", "windows-1251"),
        (b"<meta charset=shift_jis>\x83\x5c", "cp932"),
        (b"<meta charset=gbk>" + SIMPLIFIED.encode(), "utf-8"),
        (b"<meta charset=utf-16>ascii", "utf-8"),
        (b"<meta charset=base64>\xff", "cp1252"),
    ],
)
def test_the_encoding_is_found(article: bytes, encoding: str) -> None:
    assert read_source(article).encoding == encoding


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("866", "ibm866"),
        ("iso-ir-100", "cp1252"),
        ("iso_8859-2:1987", "iso-8859-2"),
        ("LATIN5", "windows-1254"),
        ("iso-8859-8-i", "iso8859-8"),
        ("koi", "koi8-r"),
        ("x-mac-roman", "mac-roman"),
        ("dos-874", "cp874"),
        ("tis-620", "cp874"),
        ("x-mac-ukrainian", "mac-cyrillic"),
        ("ks_c_5601-1989", "cp949"),
        ("csisolatin6", "iso-8859-10"),
        ("x-user-defined", "cp1252"),
    ],
)
def test_labels_of_the_encoding_standard_are_known(label: str, encoding: str) -> None:
    assert read_source(f"<meta charset={label}>".encode() + b"\xe9").encoding == encoding


def test_every_label_of_the_encoding_standard_gives_an_encoding_that_python_has() -> None:
    assert len(LABELS) == 228
    for label, name in LABELS.items():
        source = read_source(f"<meta charset={label}>".encode() + b"plain")

        assert source.text(0, 5) == "<meta"
        codec = lookup(source.encoding).name
        assert (codec == "utf-8") == (name in ("utf-8", "utf-16be", "utf-16le", "replacement"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-32-le"])
def test_wide_encodings_are_refused_in_words(encoding: str) -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        read_source("<p>港口 and some text of the usual kind</p>".encode(encoding))


def test_single_nul_bytes_are_no_sign_of_utf_16() -> None:
    assert read_source(b"a\0b\0 and then text\0").raw == b"a\0b\0 and then text\0"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gbk", "许\\功盖｛[表]｝`格`|" * 20),
        ("gb18030", "㐀1𠀀[丂]" * 20),
        ("big5", "許\\功蓋[一]|" * 20),
        ("shift_jis", "表ソ\\能[十]" * 20),
        ("cp949", "똠A방각하[펲]" * 20),
    ],
)
def test_only_ascii_characters_are_ascii_bytes_in_the_page(encoding: str, text: str) -> None:
    article = f"<meta charset={encoding}>{text}".encode(encoding)

    page = read_source(article).page

    assert len(page) == len(article)
    assert bytes(byte for byte in page if byte < 0x80).decode() == "".join(
        c for c in article.decode(encoding) if c < "\x80"
    )


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"<meta charset=gbk>", b"<meta charset=big5>", b"<meta charset=iso-2022-jp>"]),
)
def test_any_bytes_are_read_and_lengths_agree(data: bytes, head: bytes) -> None:
    article = head + data
    try:
        source = read_source(article)
    except InvalidRequest:
        return

    assert source.raw is article
    assert len(source.page) == len(article)
    assert isinstance(source.text(0, len(article)), str)
