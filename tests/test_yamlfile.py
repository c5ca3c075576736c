"""YAML in and out: what is read, what is refused, and where the message points."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpsearch.errors import UserError
from hpsearch.yamlfile import (
    MAX_BYTES,
    MAX_DEPTH,
    Mark,
    dump,
    parse_yaml,
    plain_scalar,
    read_yaml,
)


def parse(text: str | bytes) -> Any:
    return parse_yaml(text if isinstance(text, bytes) else text.encode(), "f.yaml").value


def refusal(text: str | bytes) -> str:
    with pytest.raises(UserError) as caught:
        parse(text)
    return str(caught.value)


def under_caret(message: str) -> str:
    """Return the part of the shown line that the carets stand under."""
    _, line, carets = re.split(r"\n +[0-9]* \| ", message, maxsplit=2)
    carets = carets.split("\n")[0]
    return line[len(carets) - len(carets.lstrip()) : len(carets)]


def types(value: Any) -> Any:
    """Return the type of a value, and of all in it."""
    if isinstance(value, dict):
        return {key: types(item) for key, item in value.items()}
    return [types(item) for item in value] if isinstance(value, list) else type(value)


# What is written comes back

LOOK_ALIKES = """
1 -1 +1 007 0x10 0o17 0b1 1_000 1,5 .5 5. 1e5 1e-5 1E+5 -0 -0.0 .inf -.INF .nan NaN inf true True
TRUE yes No on OFF y n null Null NULL ~ - ? : , [ ] { } # & * ! | > ' " % @ ` << = --- ... a:b a: :a
#a a#b -a ?a 2001-01-01 12:30:45 1:30 10^-3 1-beta \\ \\n 'a' "a" 0.1.2 e5
"""
look_alikes = st.sampled_from(LOOK_ALIKES.split())
texts = st.one_of(
    look_alikes,
    look_alikes.map(lambda text: f" {text}\n"),
    st.text(max_size=30),
    st.text(
        alphabet="\x00\x07\x0c\x1b\x7f\x85\xa0\u2028\u2029\ufeff\uffff\t\r\n \\\"'é語😀", max_size=9
    ),
)
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**98), 10**98)
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
plain_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(value=plain_values)
@example(value={"": [], "a": {}, "b": [[], {}]})
@example(value=[-0.0, 5e-324, 1.7976931348623157e308, 1e16, 0.1, 1e-5, 10**98])
def test_every_plain_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    text = dump(value)
    assert "\n" not in text
    assert parse(text) == value
    assert types(parse(text)) == types(value)
    assert str(parse(text)) == str(value)  # tells 0.0 from -0.0


@settings(max_examples=100, deadline=None)
@given(
    value=st.recursive(
        st.one_of(
            numbers,
            st.booleans(),
            st.none(),
            st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner)
        ),
    )
)
def test_json_is_read_as_json(value: Any) -> None:
    assert parse(json.dumps(value)) == value
    assert parse(json.dumps(value, indent=2)) == value


def test_the_deepest_value_that_is_read_can_be_written() -> None:
    value: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert parse(dump(value)) == value


# Nothing but UserError

PIECES = (
    "a|b: |- |? |: |{|}|[|]|,|'|\"|\\|\\x|\\U|#|&a|*a|!|!!|!<|%|%YAML |%TAG |>|\n|\n  |\n |---|..."
    "|\t|@|`|<<|1e5|~|\r|😀|.inf|\\uD800|0|é|\x00|\ufeff|\u2028"
)
pieces = st.sampled_from(PIECES.split("|"))


@settings(max_examples=600, deadline=None)
@given(raw=st.one_of(st.binary(max_size=60), st.lists(pieces, max_size=14).map("".join)))
@example(raw=b'"\\UFFFFFFFF"')
@example(raw=b"%YAML 1." + b"9" * 5000 + b"\n---\na")
@example(raw=b"\r[\n")
@example(raw=b"\xef\xbb\xbf\xff")
@example(raw="a: \ud800".encode("utf-8", "surrogatepass"))
def test_any_bytes_are_read_or_refused_with_a_place(raw: bytes | str) -> None:
    raw = raw.encode() if isinstance(raw, str) else raw
    try:
        parse(raw)
    except UserError as error:
        message = str(error)
        assert re.match(r"f\.yaml:[1-9][0-9]*:[1-9][0-9]*: ", message)
        assert re.search(r"\n +\| *\t*[ \t]*\^", message)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", message)


# The core schema

CORE: list[tuple[str, Any]] = [
    ("1e-4", 1e-4),
    ("1E-4", 1e-4),
    ("1e4", 1e4),
    ("1e+4", 1e4),
    ("1.5e3", 1500.0),
    (".5", 0.5),
    ("-.5", -0.5),
    ("5.", 5.0),
    ("+0.25", 0.25),
    ("0.0", 0.0),
    ("3", 3),
    ("-3", -3),
    ("+3", 3),
    ("0", 0),
    ("true", True),
    ("True", True),
    ("FALSE", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("yes", "yes"),
    ("No", "No"),
    ("on", "on"),
    ("OFF", "OFF"),
    ("y", "y"),
    ("tRue", "tRue"),
    ("none", "none"),
    ("None", "None"),
    ("1_000", "1_000"),
    ("007", "007"),
    ("0x10", "0x10"),
    ("0o17", "0o17"),
    ("0b11", "0b11"),
    ("1,5", "1,5"),
    ("1:30", "1:30"),
    ("190:20:30", "190:20:30"),
    ("10^-3", "10^-3"),
    ("1e", "1e"),
    ("e5", "e5"),
    (".", "."),
    ("1.2.3", "1.2.3"),
    ("nan", "nan"),
    ("inf", "inf"),
    ("2001-01-01", "2001-01-01"),
    ("1-beta", "1-beta"),
    ("٣", "٣"),
    ("=", "="),
]


@pytest.mark.parametrize(("word", "value"), CORE)
def test_an_unquoted_word_has_its_value_in_the_core_schema(word: str, value: Any) -> None:
    assert plain_scalar(word) == value
    assert type(plain_scalar(word)) is type(value)
    if word not in ("", "1,5"):
        assert parse(f"a: {word}\n") == {"a": value}
        assert parse(f"[{word}]") == [value]


@pytest.mark.parametrize("word", [word for word, _ in CORE])
def test_a_quoted_word_is_text(word: str) -> None:
    assert parse(f"a: '{word}'") == {"a": word}
    assert parse(f'a: "{word}"') == {"a": word}
    assert parse(f"a: |-\n  {word}" if word else "a: |-\n") == {"a": word}


@settings(deadline=None)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_way_to_print_a_float_reads_back_as_that_float(number: float) -> None:
    for text in (repr(number), f"{number:.17e}", f"{number:.17E}"):
        assert plain_scalar(text) == number
    assert math.copysign(1, plain_scalar(repr(number))) == math.copysign(1, number)  # type: ignore[arg-type]


def test_all_line_ends_and_a_byte_order_mark_are_read_alike() -> None:
    text = "a: 1\nb: [2,\n  3]\n"
    for end in ("\n", "\r\n", "\r"):
        assert parse(text.replace("\n", end)) == {"a": 1, "b": [2, 3]}
        assert ":3:4: " in refusal("a: 1\n\nb: *x\n".replace("\n", end))
    assert parse(b"\xef\xbb\xbf" + text.encode()) == {"a": 1, "b": [2, 3]}


@pytest.mark.parametrize("text", ["", "# only this\n", "---\n", "null\n", "\n\n", "---\n...\n"])
def test_a_file_without_a_value_holds_none(text: str) -> None:
    assert parse(text) is None


# What is refused, and where

OPEN = "[" * 10_000
BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED: list[tuple[str | bytes, str, str | None, str]] = [
    # text, line:column, what is under the caret, a part of the message
    ("x: 1\na: 1\nx: 2\n", "3:1", "x", "the key 'x' is given twice (first in line 1)"),
    ("p:\n  a: 1\n  'a': 2\n", "3:3", "'a'", "the key 'a' is given twice (first in line 2)"),
    ("{a: {b: 1, b: 2}}", "1:12", "b", "given twice"),
    ("a: &x 1\n", "1:4", "&x 1", "anchors and aliases"),
    ("a: 1\nb: *x\n", "2:4", "*x", "anchors and aliases"),
    ("&x a: 1\n", "1:1", "&x a", "anchors and aliases"),
    (BOMB, "1:4", "&a [", "anchors and aliases"),
    ("a: !!float 1\n", "1:4", "!!float 1", "tags are refused"),
    ("a: !!python/object/apply:os.system [ls]\n", "1:4", None, "tags are refused"),
    ("a: !mine {b: 1}\n", "1:4", None, "tags are refused, found '!mine'"),
    ("a:\n  <<: {b: 1}\n", "2:3", "<<", "merge keys"),
    ("{<<: {b: 1}}", "1:2", "<<", "merge keys"),
    ("a: 1\n3: 4\n", "2:1", "3", "a key must be text, found '3'"),
    ("true: 4\n", "1:1", "true", "a key must be text, found 'true'"),
    ("~: 4\n", "1:1", "~", "a key must be text"),
    ("1e-4: 4\n", "1:1", "1e-4", "a key must be text"),
    (".inf: 4\n", "1:1", ".inf", "a key must be text"),
    ("? [a]\n: 3\n", "1:3", "[a]", "a key must be text, not a list or a mapping"),
    ("{a: 1}: 3\n", "1:1", "{a: 1}", "a key must be text, not a list or a mapping"),
    ("r: {min: 0,1, max: 1,5}\n", "1:12", "1", "A decimal number has a point"),
    ("a: " + "[" * 32 + "]" * 32, "1:35", "[", "nested deeper than 32 levels"),
    (OPEN, "1:33", "[", "nested deeper than 32 levels"),
    ("{a: " * 10_000, "1:126", "a", "nested deeper than 32 levels"),
    ("- " * 10_000, "1:65", "-", "nested deeper than 32 levels"),
    ("a: 1\n---\nb: 2\n", "2:1", "-", "a second document begins here"),
    ("a: 1\n...\nb: 2\n", "3:1", "b", "a second document begins here"),
    ("a: .inf\n", "1:4", ".inf", "'.inf' is not a finite number"),
    ("a: [1, -.INF]\n", "1:8", "-.INF", "not a finite number"),
    ("a: .nan\n", "1:4", ".nan", "not a finite number"),
    ("a: 1e400\n", "1:4", "1e400", "'1e400' is too large for a number"),
    ("a: " + "9" * 101, "1:4", None, "a number of 101 characters is too long"),
    ("a: 0." + "1" * 99, "1:4", None, "a number of 101 characters is too long"),
    ("a: 1\nb: x\x00y\n", "2:5", "\ufffd", "a character that no config needs (U+0000"),
    ("a: \x1b[31m\n", "1:4", "\ufffd", "(U+001B"),
    ("# \x0c\na: 1\n", "1:3", "\ufffd", "(U+000C"),
    ("# a\u2028b\n", "1:4", "\ufffd", "(U+2028"),
    ("# a\x85b\n", "1:4", "\ufffd", "(U+0085"),
    (b"a: 1\nb: caf\xe9\n", "2:7", "\ufffd", "not UTF-8 text (byte 0xe9)"),
    (b"\xff\xfea\x00:\x00", "1:1", "\ufffd", "not UTF-8 text (byte 0xff)"),
    (b"\xef\xbb\xbf\xe9: 1", "1:1", "\ufffd", "not UTF-8 text (byte 0xe9)"),
    ("a:\n\tb: 1\n", "2:1", "\t", "Use spaces instead of tabs."),
    ("a:\n  b: 1\n\tc: 2\n", "3:1", "\t", "Use spaces instead of tabs."),
    ("a:\t1\n", "1:3", "\t", "Use spaces instead of tabs."),
    ("a: @x\n", "1:4", "@", "A text that begins with a special character needs quotes."),
    ("a: `x`\n", "1:4", "`", "needs quotes"),
    ("a: %x\n", "1:4", "%", "needs quotes"),
    ("a: *.csv\n", "1:5", ".", "needs quotes"),
    ("a: 1\nb: 'x\nc: 3\n", "2:4", "'x", "this quote is never closed"),
    ("a: 1\nb: {c: 1\n", "2:4", "{c: 1", "this '{' is never closed"),
    ("b: [1, 2\n", "1:4", "[1, 2", "this '[' is never closed"),
    ("b: [1,\n", "1:7", "", "the file ends inside brackets"),
    ("b: [1, 2\nc: 3\n", "2:2", ":", "the end of the '[' in line 1?"),
    ("b: {c: 1 d: 2}\n", "1:11", ":", "Is a ',' missing before it"),
    ("a: 1\nb\n  c: 2\n", "2:1", "b", "a key without a ':'"),
    ("a 1\nb: 2\n", "2:2", ":", "Is a ':' missing before it"),
    ("a: b: c\n", "1:5", ":", "does a text with ': ' need quotes?"),
    ("a:\n  b: 1\n c: 2\n", "3:2", "c", "this does not line up with the lines above"),
    ("a: 1\n   b: 2\n", "2:5", ":", "indented differently"),
    ('a: "\\q"\n', "1:6", "q", "unknown escape character"),
    ('a: "\\UFFFFFFFF"\n', "1:7", None, "no such character"),
]


@pytest.mark.parametrize(("text", "place", "token", "part"), REFUSED)
def test_what_a_config_never_needs_is_refused_with_its_place(
    text: str | bytes, place: str, token: str | None, part: str
) -> None:
    message = refusal(text)
    assert message.startswith(f"f.yaml:{place}: ")
    assert part in message
    if token is not None:
        assert under_caret(message) == token


def test_a_number_of_a_hundred_characters_is_still_read() -> None:
    assert parse("9" * 100) == int("9" * 100)
    assert parse("0." + "1" * 98) == pytest.approx(1 / 9)


def test_the_caret_of_a_very_long_line_stands_under_the_right_part() -> None:
    line = (
        "{" + ", ".join(f"key_{i}: {i}" for i in range(200)) + ", bad: *x, " + "z: 1, " * 50 + "}"
    )
    message = refusal(line)
    assert message.startswith(f"f.yaml:1:{line.index('*x') + 1}: ")
    assert under_caret(message) == "*x"
    assert max(map(len, message.split("\n"))) <= 110


def test_a_tab_before_the_caret_keeps_it_in_line() -> None:
    message = refusal('{"a\tb": *x}\n')
    shown, carets = message.split("\n")[1:3]
    assert shown.index("*x") == carets.index("^^")
    assert carets[shown.index("\t")] == "\t"


# Places

DOCUMENT = """\
# a comment
top:
  list: [1, {deep: x}]
  "quoted key": 'quoted value'
  block: |
    text
"""


def test_every_key_and_value_knows_its_line_and_column() -> None:
    document = parse_yaml(DOCUMENT.encode(), "f.yaml")
    assert document.values[("top", "list", 0)] == Mark(3, 10, 1)
    assert document.keys[("top", "list", 1, "deep")] == Mark(3, 14, 4)
    assert document.values[("top", "list", 1, "deep")] == Mark(3, 20, 1)
    assert document.keys[("top", "quoted key")] == Mark(4, 3, 12)
    assert document.values[("top", "quoted key")] == Mark(4, 17, 14)
    assert document.values[("top", "block")].line == 5
    assert document.values[("top",)].line == 3


@pytest.mark.parametrize(
    ("place", "at_key", "where", "token"),
    [
        (("top", "list", 1, "deep"), False, "3:20", "x"),
        (("top", "list", 1, "deep"), True, "3:14", "deep"),
        (("top", "list", 1, "gone"), False, "3:13", "{deep: x}"),
        (("top", "gone", "far"), False, "2:1", "top"),
        (("gone",), False, "2:1", "t"),
    ],
)
def test_an_error_points_at_its_place_or_at_what_encloses_it(
    place: tuple[str | int, ...], at_key: bool, where: str, token: str
) -> None:
    document = parse_yaml(DOCUMENT.encode(), "f.yaml")
    message = str(document.error(place, "wrong", "Do this.", at_key=at_key))
    assert message.startswith(f"f.yaml:{where}: wrong\n")
    assert under_caret(message) == token
    assert message.endswith("\nDo this.")


# Files


def test_a_file_is_read_with_its_name_as_given(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1e-4\n")
    document = read_yaml(path)
    assert (document.name, document.value) == (str(path), {"a": 1e-4})


def test_a_file_of_one_mebibyte_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n#" + b"x" * (MAX_BYTES - 6))
    assert read_yaml(path).value == {"a": 1}
    path.write_bytes(b"[" * (MAX_BYTES + 1))
    with pytest.raises(UserError, match="larger than 1 MiB"):
        read_yaml(path)


def test_a_missing_file_is_an_error_that_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text("a: 1\n")
    with pytest.raises(UserError) as caught:
        read_yaml(tmp_path / "digit.yaml")
    assert str(caught.value) == (
        f"{tmp_path / 'digit.yaml'}: cannot be read: No such file or directory\n"
        f"Did you mean '{tmp_path / 'digits.yaml'}'?"
    )


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_a_missing_folder_is_said_without_a_guess(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No such file or directory$"):
        read_yaml(tmp_path / "none" / "a.yaml")
