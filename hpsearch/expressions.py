"""Constraints: small expressions over parameters that can only compute true or false.

Python's parser reads the text once its tokens are known to be harmless; what it finds becomes
nested functions, one per part. Only the kinds of parts that `_Compiler` names exist: nothing can
be looked up, called or assigned but parameters and FUNCTIONS. Values stay small too: whole numbers
beyond 2 ** 63 become floats, and what is too large for a float counts as infinite.
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

from hpsearch.errors import nearest

MAX_LENGTH = 1000
MAX_DEPTH = 100
MAX_WHOLE = 2**63

Values = Mapping[str, Any]
Run = Callable[[Values], Any]


class ExpressionError(ValueError):
    """A constraint that cannot be read, or that has no answer for some values.

    The text is one sentence without the constraint's own place in the config.
    """

    def __init__(self, message: str, column: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.column = column
        """Where in the constraint, from 1; None where it is the constraint as a whole."""
        self.hint = hint
        """What was probably meant, as a sentence of its own; may be empty."""


@dataclass(frozen=True)
class Expression:
    """A constraint that was read: `Expression.parse(text)`.

    Two of the same text are equal. It can be pickled: the text is read again.
    """

    text: str
    names: frozenset[str] = field(init=False, compare=False, repr=False)
    """The parameters in it."""
    _columns: dict[str, int] = field(init=False, compare=False, repr=False)
    _run: Run = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        compiler = _Compiler(self.text)
        object.__setattr__(self, "_run", compiler.run)
        object.__setattr__(self, "_columns", compiler.columns)
        object.__setattr__(self, "names", frozenset(compiler.columns))

    def __reduce__(self) -> tuple[type[Expression], tuple[str]]:
        return Expression, (self.text,)

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Read a constraint.

        Raises:
            ExpressionError: not an expression, or one that can never be true or false.
        """
        return cls(text)

    def check_names(self, known: Collection[str]) -> None:
        """Raise ExpressionError at the first name that is not a known parameter."""
        for name, column in sorted(self._columns.items(), key=lambda item: item[1]):
            if name not in known:
                meant = nearest(name, list(known))
                hint = f"Did you mean '{meant}'?" if meant else f"A text needs quotes: '{name}'."
                raise ExpressionError(f"unknown parameter '{name}'", column, hint)

    def holds(self, values: Values) -> bool | None:
        """Say whether the constraint holds for a setting.

        values: a number, text, truth value or None by name; a tuple for a repeated parameter.
        Returns None when a parameter in the constraint has no value: it does not apply then.

        Raises:
            ExpressionError: a division by zero, or values of a kind that it cannot take.
        """
        for name in self.names:
            if name not in values:
                return None
        try:
            answer: bool = self._run(values)
        except _NoAnswerError as error:
            names = dict.fromkeys(name for name in error.names if name in self.names)
            shown = ", ".join(f"{name} = {_shown(values[name])}" for name in names)
            message = f"{error} ({shown})" if shown else str(error)
            raise ExpressionError(message, error.column, error.hint) from None
        return answer


class _NoAnswerError(Exception):
    """A part that has no value for these values; `names` stand in that part."""

    def __init__(self, message: str, column: int, names: list[str], hint: str = "") -> None:
        super().__init__(message)
        self.column, self.names, self.hint = column, names, hint


def _shown(value: Any) -> str:
    """Write a value as a constraint would."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    text = repr(value) if isinstance(value, str | float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


# Reading: every character belongs to a token of this table, or the text is refused.

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)(?P<tail>[\w.]*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<quote>'[^']*'|"[^"]*")
    |(?P<operator>!==|===|<=>|&&|\|\||<>|=>|=<|:=|->|\*\*|//|<=|>=|==|!=|[-+*/%<>()\[\],])
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)

_WRITE = {
    **{"=": "==", "===": "==", "is": "== or !=", "!==": "!=", "<>": "!=", "≠": "!="},
    **{"=>": ">=", "≥": ">=", "=<": "<=", "≤": "<="},
    **{"&&": "and", "&": "and", "AND": "and", "||": "or", "|": "or", "OR": "or"},
    **{"!": "not", "NOT": "not", "IN": "in", "^": "**", "×": "*", "·": "*", "−": "-"},
    **dict.fromkeys("‘’“”`", "'"),
}
"""What other languages and keyboards write, and the word for it here."""

_WORDS = {"and", "or", "not", "in"}
_CLOSES = {"(": ")", "[": "]"}

_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("none", "None", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _harmless(text: str) -> str:
    """Check a constraint's tokens and return a text of the same length for Python's parser.

    What is left in it has no meaning of its own: words are x's and texts are empty quotes, so a
    parameter may be called lambda. `_Compiler` takes both from the original.
    """
    code: list[str] = []
    open_brackets: list[tuple[str, int]] = []
    last, last_column = "", 1  # the token before, where it ends a value
    for token in _TOKEN.finditer(text):
        found, kind, column = token[0], token.lastgroup, token.start() + 1
        if kind == "space":
            code.append(" " * len(found))
            continue
        value = kind in ("number", "tail", "quote") or (kind == "word" and found not in _WORDS)
        if found in _WRITE and (kind != "word" or last or found == "NOT"):
            hint = f"Write {_WRITE[found]} instead."
            raise ExpressionError(f"{_quoted(found)} means nothing in a constraint", column, hint)
        if kind == "other" or found in (":=", "->", "<=>"):
            if found in "'\"":
                raise ExpressionError("this quote is never closed", column)
            raise ExpressionError(f"{_quoted(found)} means nothing in a constraint", column)
        if token["tail"] or (token["number"] and re.match("0[0-9]", found)):
            hint = "Write it as 12, 0.5 or 1e-3."
            raise ExpressionError(f"cannot read the number {_quoted(found)}", column, hint)
        if last and value:
            for word, at in ((last, last_column), (found, column)):
                if keyword.iskeyword(word):
                    raise ExpressionError(f"a constraint knows no '{word}'", at)
            raise ExpressionError(f"an operator is missing before {_quoted(found)}", column)
        if found in _CLOSES:
            open_brackets.append((found, column))
            if len(open_brackets) > MAX_DEPTH:
                raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels", column)
        elif found in (")", "]") and (
            not open_brackets or _CLOSES[open_brackets.pop()[0]] != found
        ):
            raise ExpressionError(f"nothing is opened that this '{found}' closes", column)
        if kind == "quote":
            code.append(found[0] + "x" * (len(found) - 2) + found[0])
        else:
            code.append("x" * len(found) if kind == "word" and value else found)
        last, last_column = found if value or found in (")", "]") else "", column
    if open_brackets:
        bracket, column = open_brackets[-1]
        raise ExpressionError(f"this '{bracket}' is never closed", column)
    if not last:
        raise ExpressionError("it ends where a value is missing", len(text.rstrip()))
    return "".join(code)


def _quoted(part: str) -> str:
    """Quote a part of a constraint for a message, on one line; a text has its own quotes."""
    if len(part) == 1 and not part.isprintable():
        return f"U+{ord(part):04X}"
    line = " ".join(part.split())
    cut = line if len(line) <= 60 else line[:57] + "..."
    if not cut.isprintable():
        return repr(cut)
    return cut if re.fullmatch(r"'[^']+'|\"[^\"]+\"", cut) else f"'{cut}'"


def _tree(text: str) -> ast.expr:
    """Parse a constraint whose first character is no space."""
    code = _harmless(text)
    try:
        return ast.parse(code, mode="eval").body
    except SyntaxError as error:
        start = max(0, (error.offset or 1) - 1)
        found = _TOKEN.match(text, start)
        what = _quoted(found[0]) if found and not found["space"] else "this"
        raise ExpressionError(f"{what} cannot stand here", start + 1) from None
    except (MemoryError, RecursionError, ValueError):
        raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels") from None


# What the parts compute.

_NUMBERS = frozenset((int, float, bool))


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _small(number: float) -> float:
    """Keep whole numbers from growing without end."""
    if type(number) is int and not -MAX_WHOLE <= number <= MAX_WHOLE:
        return _float(number)
    return number


def _power(base: float, exponent: float) -> float:
    """base ** exponent in bounded time; ValueError where the result is not a real number."""
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    if whole and int(base).bit_length() * exponent <= 64:
        return int(base**exponent)
    base, exponent = _float(base), _float(exponent)
    try:
        result = base**exponent
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    if isinstance(result, complex):
        raise ValueError
    return float(result)


def _sum(numbers: tuple[float, ...]) -> float:
    try:
        return _small(sum(numbers))
    except OverflowError:
        return sum(map(_float, numbers))


_ARITHMETIC: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", _power),
}

_ORDER: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}

FUNCTIONS: dict[str, Callable[[Any], Any]] = {"min": min, "max": max, "sum": _sum}
"""Functions of one repeated parameter or of several numbers."""
FUNCTION_NAMES = [*FUNCTIONS, "len", "abs"]

_WHOLE = "Of a repeated parameter write max(...), min(...), sum(...) or len(...)."


class _Compiler:
    """Turns a constraint into `run`, a function of the values, and `columns`, its parameters."""

    def __init__(self, text: str) -> None:
        if not text.strip():
            raise ExpressionError("the constraint is empty")
        if len(text) > MAX_LENGTH:
            raise ExpressionError(f"longer than {MAX_LENGTH:,} characters")
        self.text = text.lstrip()
        self.start = len(text) - len(self.text)
        self.columns: dict[str, int] = {}
        self.depth = 0
        try:
            tree = _tree(self.text)
            hint = "A constraint compares, as in 'layers <= 3'."
            self.run = self.truth(tree, hint)
        except ExpressionError as error:
            if error.column is not None:
                error.column += self.start
            raise

    # Where a part stands, and what can be wrong with it.

    def source(self, node: ast.expr) -> str:
        # Tokens other than texts are ASCII, and texts are replaced before parsing: bytes count
        # as characters.
        return self.text[node.col_offset : node.end_col_offset]

    def refuse(self, node: ast.expr, message: str, hint: str = "") -> NoReturn:
        raise ExpressionError(message, node.col_offset + 1, hint)

    def no_answer(self, node: ast.expr, problem: str, hint: str = "") -> _NoAnswerError:
        names = [self.source(part) for part in ast.walk(node) if isinstance(part, ast.Name)]
        message = f"{_quoted(self.source(node))} {problem}"
        return _NoAnswerError(message, self.start + node.col_offset + 1, names, hint)

    def no_numbers(self, node: ast.expr, symbol: str, *operands: Any) -> _NoAnswerError:
        wrong = next(value for value in operands if type(value) not in _NUMBERS)
        hint = _WHOLE if isinstance(wrong, tuple) else ""
        return self.no_answer(node, f"has {_shown(wrong)} where {symbol} needs a number", hint)

    # The parts.

    def truth(self, node: ast.expr, hint: str) -> Run:
        """Compile a part that must be true or false."""
        run = self.value(node)
        if isinstance(node, ast.Compare | ast.BoolOp):
            return run
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return run
        name = self.source(node)
        if not isinstance(node, ast.Name) or _CONSTANTS.get(name, True) is None:
            self.refuse(node, f"{_quoted(name)} is neither true nor false", hint)

        def checked(values: Values) -> Any:
            value = run(values)
            if type(value) is not bool:
                raise self.no_answer(node, "is neither true nor false", hint)
            return value

        return checked

    def value(self, node: ast.expr) -> Run:
        """Compile any part."""
        compile_ = self.PARTS.get(type(node))
        if compile_ is None:
            hint = _WHOLE if isinstance(node, ast.Subscript) else ""
            self.refuse(node, f"a constraint cannot hold {_quoted(self.source(node))}", hint)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(node, f"nested deeper than {MAX_DEPTH} levels")
        run = compile_(self, node)
        self.depth -= 1
        return run

    def constant(self, node: ast.Constant) -> Run:
        value: Any = self.source(node)[1:-1] if isinstance(node.value, str) else node.value
        if not isinstance(value, str):
            value = _small(value)
            if math.isinf(value):
                self.refuse(node, f"{_quoted(self.source(node))} is too large for a number")
        return lambda values: value

    def name(self, node: ast.Name) -> Run:
        name = self.source(node)
        if name in _CONSTANTS:
            constant = _CONSTANTS[name]
            return lambda values: constant
        column = self.start + node.col_offset + 1
        self.columns[name] = min(column, self.columns.get(name, column))
        return operator.itemgetter(name)

    def items(self, node: ast.List | ast.Tuple) -> Run:
        runs = [self.value(item) for item in node.elts]
        return lambda values: tuple([run(values) for run in runs])

    def unary(self, node: ast.UnaryOp) -> Run:
        if isinstance(node.op, ast.Not):
            truth = self.truth(node.operand, "What follows 'not' must be a comparison.")
            return lambda values: not truth(values)
        run = self.value(node.operand)
        apply = operator.neg if isinstance(node.op, ast.USub) else operator.pos
        symbol = "-" if isinstance(node.op, ast.USub) else "+"

        def signed(values: Values) -> Any:
            value = run(values)
            if type(value) not in _NUMBERS:
                raise self.no_numbers(node, symbol, value)
            return apply(value)

        return signed

    def arithmetic(self, node: ast.BinOp) -> Run:
        symbol, apply = _ARITHMETIC[type(node.op)]
        left, right = self.value(node.left), self.value(node.right)

        def compute(values: Values) -> Any:
            a, b = left(values), right(values)
            if type(a) not in _NUMBERS or type(b) not in _NUMBERS:
                raise self.no_numbers(node, symbol, a, b)
            try:
                try:
                    result = apply(a, b)
                except OverflowError:
                    result = apply(_float(a), _float(b))
            except ZeroDivisionError:
                raise self.no_answer(node, "divides by zero") from None
            except ValueError:
                raise self.no_answer(node, "is a fractional power of a negative number") from None
            return _small(result) if type(result) is int else result

        return compute

    def logic(self, node: ast.BoolOp) -> Run:
        either = isinstance(node.op, ast.Or)
        hint = "Each side of 'and' and 'or' must be a comparison."
        first, *others = [self.truth(part, hint) for part in node.values]
        if len(others) == 1:
            second = others[0]
            if either:
                return lambda values: first(values) or second(values)
            return lambda values: first(values) and second(values)

        def combine(values: Values) -> bool:
            return any(run(values) is either for run in (first, *others)) is either

        return combine

    def comparison(self, node: ast.Compare) -> Run:
        left = self.value(node.left)
        links = [
            (self.link(node, op), self.value(right))
            for op, right in zip(node.ops, node.comparators, strict=True)
        ]
        if len(links) == 1:
            ((holds, right),) = links
            return lambda values: holds(left(values), right(values))

        def chain(values: Values) -> bool:
            a = left(values)
            for holds, right in links:
                b = right(values)
                if not holds(a, b):
                    return False
                a = b
            return True

        return chain

    def link(self, node: ast.Compare, op: ast.cmpop) -> Callable[[Any, Any], bool]:
        """Return the test of one comparison sign."""
        if isinstance(op, ast.Eq):
            return operator.eq
        if isinstance(op, ast.NotEq):
            return operator.ne
        if isinstance(op, ast.In | ast.NotIn):
            wanted = isinstance(op, ast.In)

            def member(a: Any, b: Any) -> bool:
                if type(b) is not tuple:
                    hint = "Write the options as a list, as in ['adam', 'sgd']."
                    raise self.no_answer(node, f"has {_shown(b)} where 'in' needs a list", hint)
                return (a in b) is wanted

            return member
        symbol, apply = _ORDER[type(op)]

        def order(a: Any, b: Any) -> bool:
            if type(a) not in _NUMBERS or type(b) not in _NUMBERS:
                raise self.no_numbers(node, symbol, a, b)
            return apply(a, b)

        return order

    def call(self, node: ast.Call) -> Run:
        if not isinstance(node.func, ast.Name):
            bracket = self.text.index("(", node.func.end_col_offset)
            raise ExpressionError("an operator is missing before '('", bracket + 1)
        name = self.source(node.func)
        if name not in FUNCTION_NAMES:
            meant = nearest(name, FUNCTION_NAMES)
            self.refuse(
                node,
                f"constraints call no functions but min, max, sum, len and abs, found '{name}'",
                f"Did you mean '{meant}'?" if meant else "",
            )
        if node.keywords or not node.args or (name in ("len", "abs") and len(node.args) > 1):
            wanted = {"len": "one repeated parameter", "abs": "one number"}.get(
                name, "one repeated parameter or several numbers"
            )
            self.refuse(node, f"'{name}' takes {wanted}")
        runs = [self.value(argument) for argument in node.args]
        if name == "abs":
            return self.absolute(node, runs[0])
        if len(runs) == 1:
            return self.of_repeated(node, name, runs[0])
        apply = FUNCTIONS[name]

        def several(values: Values) -> Any:
            numbers = tuple([run(values) for run in runs])
            for number in numbers:
                if type(number) not in _NUMBERS:
                    raise self.no_numbers(node, name, number)
            return apply(numbers)

        return several

    def absolute(self, node: ast.Call, run: Run) -> Run:
        def absolute(values: Values) -> Any:
            value = run(values)
            if type(value) not in _NUMBERS:
                raise self.no_numbers(node, "abs", value)
            return abs(value)

        return absolute

    def of_repeated(self, node: ast.Call, name: str, run: Run) -> Run:
        apply = FUNCTIONS.get(name)

        def of_repeated(values: Values) -> Any:
            numbers = run(values)
            if type(numbers) is not tuple:
                wanted = "a repeated parameter" + (" or several numbers" if apply else "")
                raise self.no_answer(node, f"needs {wanted}, found {_shown(numbers)}")
            if apply is None:
                return len(numbers)
            for number in numbers:
                if type(number) not in _NUMBERS:
                    raise self.no_numbers(node, name, number)
            if not numbers and name != "sum":
                raise self.no_answer(node, "has nothing to choose from")
            return apply(numbers)

        return of_repeated

    PARTS: ClassVar[dict[type[ast.expr], Callable[[_Compiler, Any], Run]]] = {
        ast.Constant: constant,
        ast.Name: name,
        ast.List: items,
        ast.Tuple: items,
        ast.UnaryOp: unary,
        ast.BinOp: arithmetic,
        ast.BoolOp: logic,
        ast.Compare: comparison,
        ast.Call: call,
    }
    """Every kind of part there is; all others are refused."""
