"""Scalar expressions: operators, undefined, precedence, functions."""

from __future__ import annotations

import math
from typing import Any

import pytest

from local.cosmos.query import QueryError, compile_query

ITEM: dict[str, Any] = {
    "id": "1",
    "n": 5,
    "half": 2.5,
    "s": "Krishna",
    "yes": True,
    "no": False,
    "nothing": None,
    "arr": [1, "two", {"a": 1, "b": 2}, None],
    "obj": {"x": {"y": 3}, "a b": 4, "value": 6},
}

UNDEFINED = "undefined"


def value(expression: str, **parameters: Any) -> Any:
    query = compile_query(f"SELECT VALUE {expression} FROM c")  # noqa: S608  what is tested
    found = query.run([ITEM], {f"@{name}": given for name, given in parameters.items()})
    return found[0] if found else UNDEFINED


def check(expression: str, expected: Any) -> None:
    found = value(expression)
    assert found == expected
    assert type(found) is type(expected)  # True is not 1, and a whole number has no fraction


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("c.n", 5),
        ("c.obj.x.y", 3),
        ("c['obj'][\"a b\"]", 4),
        ("c.obj['value']", 6),
        ("c.arr[1]", "two"),
        ("c.arr[2].b", 2),
        ("c.arr[9]", UNDEFINED),
        ("c.arr[-1]", UNDEFINED),
        ("c.missing", UNDEFINED),
        ("c.missing.deeper", UNDEFINED),
        ("c.s.x", UNDEFINED),
        ("c.nothing", None),
        ("undefined", UNDEFINED),
        ("1e3", 1000),
        (".5", 0.5),
        ("0x1F", 31),
        ("-3", -3),
        (r"'it\'s \u0041 \\ \n'", "it's A \\ \n"),
        (r"'\ud83d\ude00'", "😀"),
        ("\"double 'single'\"", "double 'single'"),
        ("[1, c.missing, 'x']", [1, "x"]),
        ("{a: c.n, 'b c': c.missing, \"d\": [c.s]}", {"a": 5, "d": ["Krishna"]}),
    ],
)
def test_values_and_paths(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 2 - 3", 5),
        ("7 % 3", 1),
        ("100 >> 2", 25),
        ("100 << 2", 400),
        ("100 >>> 0", 100),
        ("-1 >> 1", -1),
        ("-1 >>> 1", 2147483647),
        ("1 << 31", -2147483648),
        ("1 << 32", 1),
        ("1 + 1 << 2 & 12", 8),
        ("IntBitLeftShift(16, 4)", 256),
        ("IntBitLeftShift(16, 0.4)", UNDEFINED),
        ("IntBitRightShift(16, 4)", 1),
        ("IntBitNot(65535)", -65536),
        ("-7 % 3", -1),
        ("5 / 2", 2.5),
        ("4 / 2", 2),
        ("1 / 0", UNDEFINED),
        ("5 % 0", UNDEFINED),
        ("c.n + c.s", UNDEFINED),
        ("c.n + c.missing", UNDEFINED),
        ("c.yes + 1", UNDEFINED),
        ("9007199254740993 * 10", 9.007199254740993e16),
        ("1e308 * 10", UNDEFINED),
        ("6 & 3", 2),
        ("6 | 3", 7),
        ("6 ^ 3", 5),
        ("~5", -6),
        ("4294967295 | 0", -1),
        ("1 | 2 + 4", 7),
        ("'a' || 'b' || 'c'", "abc"),
        ("'a' || 1", UNDEFINED),
        ("-c.n", -5),
        ("-c.s", UNDEFINED),
        ("1 -- a comment\n + 1", 2),
    ],
)
def test_arithmetic(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("c.n = 5", True),
        ("c.n = 5.0", True),
        ("c.n = '5'", False),
        ("c.n != '5'", True),
        ("c.yes = 1", False),
        ("c.missing = 1", UNDEFINED),
        ("c.missing != 1", UNDEFINED),
        ("c.missing = undefined", UNDEFINED),
        ("c.nothing = null", True),
        ("c.n != null", True),
        ("c.n <> 4", True),
        ("c.n < 6", True),
        ("c.n < '6'", UNDEFINED),
        ("c.s >= 'Kr'", True),
        ("false < true", True),
        ("null <= null", True),
        ("[1] < [2]", UNDEFINED),
        ("[1, true] = [1, 1]", False),
        ("c.obj.x = {'y': 3.0}", True),
        ("c.obj.x = {'y': 3, 'z': 1}", False),
        ("c.n BETWEEN 5 AND 6", True),
        ("c.n NOT BETWEEN 5 AND 6", False),
        ("c.n BETWEEN 'a' AND 'b'", UNDEFINED),
        ("c.n IN (1, 5)", True),
        ("c.n IN (true, '5')", False),
        ("c.n NOT IN (1, 2)", True),
        ("c.missing IN (1)", UNDEFINED),
        ("c.n IN (c.half * 2)", True),
        ("true IN (1)", False),
    ],
)
def test_comparisons(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true AND undefined", UNDEFINED),
        ("false AND undefined", False),
        ("undefined AND false", False),
        ("true OR undefined", True),
        ("undefined OR true", True),
        ("false OR undefined", UNDEFINED),
        ("true AND 1", UNDEFINED),
        ("NOT undefined", UNDEFINED),
        ("NOT 0", UNDEFINED),
        ("NOT (c.n = 1)", True),
        ("NOT IS_DEFINED(c.missing) AND true", True),
        ("true OR false AND false", True),
        ("ARRAY_CONTAINS(c.arr, 9) OR ARRAY_CONTAINS(c.arr, 'two')", True),
        ("ARRAY_CONTAINS(c.arr, 9) OR ARRAY_CONTAINS(c.arr, true)", False),
        ("ARRAY_CONTAINS(c.missing, 9) OR ARRAY_CONTAINS(c.arr, 8)", UNDEFINED),
        ("ARRAY_CONTAINS(c.missing, 9) OR ARRAY_CONTAINS(c.arr, 1) OR c.no", True),
        ("ARRAY_CONTAINS(c.arr, {'a': 1, 'b': 2}) OR ARRAY_CONTAINS(c.arr, undefined)", True),
        ("c.missing ?? 'other'", "other"),
        ("c.nothing ?? 'other'", None),
        ("c.missing ?? c.gone ?? 3", 3),
        ("c.n = 5 ? 'a' : 'b'", "a"),
        ("c.missing ? 'a' : 'b'", "b"),
        ("c.n = 1 ? 'a' : c.n = 5 ? 'b' : 'c'", "b"),
        ("c.missing ?? false ? 1 : 2", 2),
    ],
)
def test_logic_has_three_values(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("c.s LIKE 'Kri%'", True),
        ("c.s LIKE '%na'", True),
        ("c.s LIKE 'K_ishna'", True),
        ("c.s LIKE 'kri%'", False),
        ("c.s LIKE '[J-L]%'", True),
        ("c.s LIKE '[^J-L]%'", False),
        ("c.s NOT LIKE '%x%'", True),
        ("c.n LIKE '5'", UNDEFINED),
        ("'&' LIKE '[a&&b]'", True),
        ("'|' LIKE '[a||~~]'", True),
        ("'&' LIKE '[^a&&b]'", False),
        ("'a.c' LIKE 'a.c'", True),
        ("'abc' LIKE 'a.c'", False),
        ("'50%' LIKE '50!%' ESCAPE '!'", True),
        ("'505' LIKE '50!%' ESCAPE '!'", False),
        ("'a\\nb' LIKE 'a%b'", True),
    ],
)
def test_like(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IS_DEFINED(c.nothing)", True),
        ("IS_DEFINED(c.missing)", False),
        ("IS_NULL(c.missing)", False),
        ("IS_NUMBER(c.yes)", False),
        ("is_bool(c.yes)", True),
        ("IS_STRING(c.s)", True),
        ("IS_ARRAY(c.arr)", True),
        ("IS_OBJECT(c.obj)", True),
        ("IS_PRIMITIVE(c.obj)", False),
        ("IS_PRIMITIVE(c.nothing)", True),
        ("IS_PRIMITIVE(c.missing)", False),
        ("IS_INTEGER(c.n)", True),
        ("IS_INTEGER(c.half)", False),
        ("IS_INTEGER(9223372036854775807)", True),
        ("IS_INTEGER(1e19)", False),
        ("IS_INTEGER(1e300)", False),
        ("IIF(c.n = 5, 'a', 'b')", "a"),
        ("IIF(c.missing, 'a', 'b')", "b"),
        ("CHOOSE(2, 'a', 'b')", "b"),
        ("CHOOSE(3, 'a', 'b')", UNDEFINED),
    ],
)
def test_type_checks_and_conditions(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ARRAY_CONTAINS(c.arr, 'two')", True),
        ("ARRAY_CONTAINS(c.arr, true)", False),
        ("ARRAY_CONTAINS(c.arr, null)", True),
        ("ARRAY_CONTAINS(c.arr, {'a': 1})", False),
        ("ARRAY_CONTAINS(c.arr, {'a': 1}, true)", True),
        ("ARRAY_CONTAINS(c.arr, {'a': 2}, true)", False),
        ("ARRAY_CONTAINS(c.s, 'K')", UNDEFINED),
        ("ARRAY_CONTAINS_ANY(c.arr, 7, 'two')", True),
        ("ARRAY_CONTAINS_ALL(c.arr, 7, 'two')", False),
        ("ARRAY_LENGTH(c.arr)", 4),
        ("ARRAY_LENGTH(c.s)", UNDEFINED),
        ("ARRAY_CONCAT([1], [2], [3])", [1, 2, 3]),
        ("ARRAY_SLICE([1, 2, 3, 4], 1, 2)", [2, 3]),
        ("ARRAY_SLICE([1, 2, 3, 4], -2)", [3, 4]),
        ("SetIntersect([1, 2, true, 2], [2, 1, 9])", [1, 2]),
        ("SetUnion([1, 2], [2, '2'])", [1, 2, "2"]),
        ("SetDifference([1, 2, 3], [2])", [1, 3]),
        ("SetEqual([1, 2, 2], [2, 1])", True),
        ("ObjectToArray({'a': 1})", [{"k": "a", "v": 1}]),
        ("ObjectToArray({'a': 1}, 'name', 'val')", [{"name": "a", "val": 1}]),
    ],
)
def test_array_functions(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("STARTSWITH(c.s, 'kri')", False),
        ("STARTSWITH(c.s, 'kri', true)", True),
        ("ENDSWITH(c.s, 'NA', true)", True),
        ("CONTAINS(c.s, 'ish')", True),
        ("CONTAINS(c.missing, 'ish')", UNDEFINED),
        ("CONTAINS(c.n, 'ish')", UNDEFINED),
        ("StringEquals(c.s, 'KRISHNA', true)", True),
        ("LOWER(c.s)", "krishna"),
        ("UPPER(c.s)", "KRISHNA"),
        ("LENGTH(c.s)", 7),
        ("CONCAT('a', 'b', 'c')", "abc"),
        ("CONCAT('a', 1)", UNDEFINED),
        ("SUBSTRING(c.s, 1, 3)", "ris"),
        ("INDEX_OF(c.s, 'n')", 5),
        ("INDEX_OF(c.s, 'z')", -1),
        ("INDEX_OF('abcabc', 'b', 2)", 4),
        ("REPLACE('aXbX', 'X', '-')", "a-b-"),
        ("REPLICATE('ab', 3)", "ababab"),
        ("REPLICATE('ab', 10000)", UNDEFINED),
        ("TRIM('  a ')", "a"),
        ("LTRIM('  a ')", "a "),
        ("RTRIM('  a ')", "  a"),
        ("LEFT(c.s, 2)", "Kr"),
        ("RIGHT(c.s, 2)", "na"),
        ("RIGHT(c.s, 99)", "Krishna"),
        ("REVERSE('abc')", "cba"),
        ("RegexMatch(c.s, '^k', 'i')", True),
        ("RegexMatch(c.s, '^k')", False),
        ("ToString(1.50)", "1.5"),
        ("ToString(true)", "true"),
        ("ToString([1, 'a'])", '[1,"a"]'),
        ("ToString(c.missing)", UNDEFINED),
        ("StringToNumber(' 1.5 ')", 1.5),
        ("StringToNumber('60')", 60),
        ("StringToNumber('x')", UNDEFINED),
        ("StringToArray('[1, 2]')", [1, 2]),
        ("StringToArray('[NaN]')", UNDEFINED),
        ("StringToArray('[1e999]')", UNDEFINED),
        ("StringToObject('{\"a\": 1}')", {"a": 1}),
        ("StringToObject('[1]')", UNDEFINED),
        ("StringToBoolean('true')", True),
        ("StringToNull('null')", None),
        ("StringSplit('a,b', ',')", ["a", "b"]),
        ("StringJoin(['a', 'b'], '-')", "a-b"),
    ],
)
def test_string_functions(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ABS(-3)", 3),
        ("CEILING(2.1)", 3),
        ("FLOOR(-2.1)", -3),
        ("ROUND(2.5)", 3),
        ("ROUND(-2.5)", -3),
        ("ROUND(2.345, 1)", 2.3),
        ("ROUND(1, 1e9)", UNDEFINED),
        ("TRUNC(-2.9)", -2),
        ("SIGN(-9)", -1),
        ("SQRT(9)", 3),
        ("SQRT(-1)", UNDEFINED),
        ("SQUARE(3)", 9),
        ("POWER(2, 10)", 1024),
        ("POWER(10, 400)", UNDEFINED),
        ("EXP(0)", 1),
        ("LOG(1)", 0),
        ("LOG(0)", UNDEFINED),
        ("LOG(8, 2)", 3),
        ("LOG10(1000)", 3),
        ("PI()", math.pi),
        ("IntAdd(1, 2)", 3),
        ("IntDiv(-7, 2)", -3),
        ("IntMod(-7, 2)", -1),
        ("IntDiv(1, 0)", UNDEFINED),
        ("IntDiv(-9223372036854775808, -1)", UNDEFINED),
        ("IntAdd(1e300, 1)", UNDEFINED),
        ("IntBitNot(1e300)", UNDEFINED),
        ("NumberBin(37, 10)", 30),
        ("ABS('x')", UNDEFINED),
    ],
)
def test_math_functions(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("DateTimeAdd('mm', 1, '2024-01-31T10:00:00.0000000Z')", "2024-02-29T10:00:00.0000000Z"),
        ("DateTimeAdd('day', -1, '2024-03-01T00:00:00Z')", "2024-02-29T00:00:00.0000000Z"),
        ("DateTimeAdd('year', 9000, '2024-03-01T00:00:00Z')", UNDEFINED),
        ("DateTimeAdd('eon', 1, '2024-03-01T00:00:00Z')", UNDEFINED),
        ("DateTimeDiff('hour', '2024-01-01T10:59:59Z', '2024-01-01T11:00:00Z')", 1),
        ("DateTimeDiff('month', '2023-12-31T00:00:00Z', '2024-02-01T00:00:00Z')", 2),
        ("DateTimePart('weekday', '2024-01-07T00:00:00Z')", 1),
        ("DateTimePart('ms', '2024-01-07T00:00:00.1234567Z')", 123),
        ("DateTimePart('hh', '2024-01-07T13:00:00Z')", 13),
        ("DateTimeBin('2024-01-07T13:47:09Z', 'hh', 6)", "2024-01-07T12:00:00.0000000Z"),
        ("DateTimeFromParts(2024, 2, 29)", "2024-02-29T00:00:00.0000000Z"),
        ("DateTimeFromParts(2023, 2, 29)", UNDEFINED),
        ("DateTimeToTimestamp('1970-01-01T00:00:01.5000000Z')", 1500),
        ("TimestampToDateTime(1500)", "1970-01-01T00:00:01.5000000Z"),
        ("DateTimeToTicks('1970-01-01T00:00:01Z')", 10_000_000),
        ("TicksToDateTime(15000000)", "1970-01-01T00:00:01.5000000Z"),
        ("TimestampToDateTime(1e300)", UNDEFINED),
        ("DateTimeToTimestamp('yesterday')", UNDEFINED),
        ("LENGTH(GetCurrentDateTime())", 28),
        ("GetCurrentTimestamp() > 1700000000000", True),
    ],
)
def test_date_functions(expression: str, expected: Any) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (2.0, "2"),
        (-0.0, "0"),
        (1e16, "10000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.00001, "0.00001"),
        (1.5e-7, "1.5e-7"),
        (2.5, "2.5"),
        ([1.0, {"a": 2.0, "b": "x"}, None], '[1,{"a":2,"b":"x"},null]'),
    ],
)
def test_numbers_have_one_text_however_they_were_written(given: Any, text: str) -> None:
    assert value("ToString(@given)", given=given) == text


def test_parameters_take_any_value() -> None:
    assert value("c.n = @n", n=5) is True
    assert value("@o.a[0]", o={"a": [7]}) == 7
    assert value("c.n IN (@a, @b)", a=4, b=5) is True
    assert value("c.n IN (@a, @b)", a=4, b=6) is False
    either = "ARRAY_CONTAINS(c.arr, @a) OR ARRAY_CONTAINS(c.arr, @b)"
    assert value(either, a=4, b={"b": 2, "a": 1.0}) is True
    assert value(either, a=4, b={"b": 2}) is False


def test_a_parameter_without_a_value_is_named() -> None:
    with pytest.raises(QueryError, match="@n, but no value was given"):
        value("c.n = @n")
