"""The query language as a LALR grammar.

Operators bind as in the service: ``?:`` loosest, then ``??``, OR, AND, the comparisons with IN, BETWEEN and
LIKE, then ``|``, ``^``, ``&``, the shifts, ``+ - ||``, ``* / %``, and the unary operators, NOT among them.
Where the service has the comparisons before ``&``, ``|``, ``^`` and ``||``, the builder asks for parentheses.
Chains of one level are flat lists, so that a thousand ORs do not make a tree a thousand levels deep.
"""

from __future__ import annotations

from functools import cache

from lark import Lark

ORDER_BY_FILTER = "{documentdb-formattableorderbyquery-filter}"
"""What clients replace by their own filter in a query rewritten for ORDER BY; means *true* if they do not."""

GRAMMAR = r"""
start: select ";"?

select: SELECT distinct? top? projection from? where? group? order? limit?
distinct: DISTINCT
top: TOP count
?projection: "*" -> star
           | VALUE expr -> value
           | item ("," item)* -> items
item: spanned (AS? name)?
spanned: expr
?count: NUMBER -> number
      | PARAMETER -> parameter

from: FROM source join*
join: JOIN source
source: container (AS? name)? -> whole
      | name IN container -> iterated
?container: path
          | "(" select ")" -> subquery
path: name suffix*

where: WHERE spanned
group: GROUP BY spanned ("," spanned)*
order: ORDER BY sort ("," sort)*
sort: spanned direction?
direction: ASC | DESC
limit: OFFSET count LIMIT count

?expr: coalesce
     | coalesce "?" expr ":" expr -> conditional
?coalesce: either ("??" either)*
?either: both (OR both)*
?both: comparison (AND comparison)*
?comparison: bits
           | comparison COMPARE bits -> compare
           | comparison NOT? IN "(" expr ("," expr)* ")" -> among
           | comparison NOT? BETWEEN bits AND bits -> between
           | comparison NOT? LIKE bits (ESCAPE STRING)? -> like
?bits: masked | masked ((BAR | CARET) masked)+ -> chain
?masked: shifted | shifted (AMPERSAND shifted)+ -> chain
?shifted: sum | sum (SHIFT sum)+ -> chain
?sum: term | term ((PLUS | MINUS | CONCATENATE) term)+ -> chain
?term: unary | unary ((ASTERISK | SLASH | PERCENT) unary)+ -> chain
?unary: primary
      | (MINUS | PLUS | TILDE | NOT) unary -> unary
?primary: atom
        | atom suffix+ -> steps
suffix: "." NAME -> property
      | "[" expr "]" -> index
      | "(" arguments ")" -> applied
?atom: name -> identifier
     | PARAMETER -> parameter
     | NUMBER -> number
     | STRING -> string
     | FILTER -> true
     | TRUE -> true
     | FALSE -> false
     | NULL -> null
     | UNDEFINED -> undefined
     | "[" (expr ("," expr)*)? "]" -> array
     | "{" (pair ("," pair)*)? "}" -> object
     | EXISTS "(" select ")" -> exists
     | ARRAY "(" select ")" -> array_of
     | "(" select ")" -> scalar
     | "(" expr ")" -> parenthesis
     | NAME "(" arguments ")" -> call
arguments: (expr ("," expr)*)?
pair: (STRING | NAME) ":" expr
name: NAME

SELECT.2: /SELECT\b/i
DISTINCT.2: /DISTINCT\b/i
TOP.2: /TOP\b/i
VALUE.2: /VALUE\b/i
AS.2: /AS\b/i
FROM.2: /FROM\b/i
JOIN.2: /JOIN\b/i
IN.2: /IN\b/i
WHERE.2: /WHERE\b/i
GROUP.2: /GROUP\b/i
ORDER.2: /ORDER\b/i
BY.2: /BY\b/i
ASC.2: /ASC\b/i
DESC.2: /DESC\b/i
OFFSET.2: /OFFSET\b/i
LIMIT.2: /LIMIT\b/i
OR.2: /OR\b/i
AND.2: /AND\b/i
NOT.2: /NOT\b/i
BETWEEN.2: /BETWEEN\b/i
LIKE.2: /LIKE\b/i
ESCAPE.2: /ESCAPE\b/i
EXISTS.2: /EXISTS\b/i
ARRAY.2: /ARRAY\b/i
TRUE.2: /true\b/
FALSE.2: /false\b/
NULL.2: /null\b/
UNDEFINED.2: /undefined\b/

COMPARE: "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
BAR: "|"
CARET: "^"
SHIFT: "<<" | ">>>" | ">>"
AMPERSAND: "&"
PLUS: "+"
MINUS: "-"
CONCATENATE: "||"
ASTERISK: "*"
SLASH: "/"
PERCENT: "%"
TILDE: "~"
FILTER: "{documentdb-formattableorderbyquery-filter}"
PARAMETER: /@[A-Za-z_0-9][\w-]*/
NAME: /[^\W\d]\w*/
NUMBER: /(0[xX][0-9a-fA-F]+|(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)/
STRING: /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/s

COMMENT: /--[^\n]*/
%import common.WS
%ignore WS
%ignore COMMENT
"""


@cache
def parser() -> Lark:
    """Return the parser; building its tables takes a moment, once per process."""
    return Lark(
        GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=False
    )
