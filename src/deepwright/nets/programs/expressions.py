"""Expressions of sizes, as programs hold them: parsed by a grammar before anything evaluates them.

torch writes a size as a term of sympy's constructors (`Add(Symbol('s0', integer=True), Integer(1))`), a range by its
symbol (`2*s0`), and what it assumed about inputs as Python (`L['x'].size()[0] // 2 != 1`); it evaluates all three.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Sequence

from deepwright.nets.programs.refusal import RefusedProgram, short

_LONGEST = 20_000  # characters
_LARGEST = 4_000  # of the sum of all exponents: what sympy multiplies out must stay small
_STEEPEST = 16  # of one exponent
_MULTIPLIED = 256  # of a product inside a division: its terms once it is multiplied out
_RAISED = 17  # of a power inside a division: a symbol's steepest power, or a short sum's square
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr, ast.BitXor)
_SIGNS = (ast.USub, ast.UAdd, ast.Not, ast.Invert)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_SYMBOL = re.compile(r"[a-z]{1,8}\d+|true|false|oo|zoo|nan|int_oo")
_NUMBER = re.compile(r"[+-]?\d{0,64}\.?\d{0,64}(e[+-]?\d{1,4})?")
_ASSUMED = {
    *("integer", "positive", "negative", "nonnegative", "nonpositive", "zero", "nonzero", "real", "finite", "even"),
    *("odd", "rational", "commutative", "extended_real"),
}
# Of these, sympy looks for what their arguments have in common, which costs the product of their sizes and more.
_DIVIDED = {"FloorDiv", "ModularIndexing", "PythonMod", "Mod", "CleanDiv", "CeilDiv", "Max", "Min"}
_SHIFTS, _POWERS = {"LShift", "RShift"}, {"Pow", "PowByNatural", "FloatPow"}
_FUNCTIONS = {
    *("Add", "Mul", "Integer", "Rational", "Max", "Min", "Abs", "floor", "ceiling", "And", "Or", "Not", "Xor"),
    *("Equality", "Unequality", "GreaterThan", "LessThan", "StrictGreaterThan", "StrictLessThan"),
    *("Eq", "Ne", "Ge", "Gt", "Le", "Lt", "Piecewise", "ExprCondPair", "IntInfinity", "NegativeIntInfinity"),
    *("Infinity", "NegativeInfinity", "FloorDiv", "ModularIndexing", "Where", "PythonMod", "Mod", "CleanDiv"),
    *("CeilToInt", "FloorToInt", "CeilDiv", "FloatTrueDiv", "IntTrueDiv", "IsNonOverlappingAndDenseIndicator"),
    *("TruncToFloat", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat", "Identity"),
    *(f"OpaqueUnaryFn_{name}" for name in ("sqrt", "exp", "log", "log2", "sin", "cos", "tan", "asin", "acos", "atan")),
    *(f"OpaqueUnaryFn_{name}" for name in ("sinh", "cosh", "tanh", "asinh")),
    *(f"BitwiseFn_bitwise_{name}" for name in ("and", "or", "xor")),
    *_SHIFTS,
    *_POWERS,
}
_READ_OFF = {"size", "stride", "storage_offset", "dim", "numel"}
_CALLED = {
    *("max", "min", "abs", "int", "float", "bool", "round", "IsNonOverlappingAndDenseIndicator"),
    "cast_symbool_to_symint_guardless",
    *(f"math.{name}" for name in ("floor", "ceil", "trunc", "sqrt", "isnan", "log2", "pow")),
    *(f"torch.sym_{name}" for name in ("int", "float", "max", "min", "not", "ite", "sqrt", "sum")),
    *(f"torch._sym_{name}" for name in ("sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")),
}

# A node of a tree -> how large the number may get that it stands for (a sum of exponents), or None where the grammar
# doesn't know the node.
_Rule = Callable[[ast.AST], "int | None"]


def symbolic(text: str) -> str:
    """A size of symbols, written anew from what was parsed.

    Args:
        text: as the program holds it.

    Raises:
        RefusedProgram: it is no arithmetic of numbers, symbols and known functions.
    """
    return _parsed(text, _of_symbols)


def guard(text: str) -> str:
    """A condition on the sizes of inputs, written anew from what was parsed.

    Args:
        text: as the program holds it.

    Raises:
        RefusedProgram: it is no comparison of inputs' sizes.
    """
    return _parsed(text, _of_inputs)


def _parsed(text: str, rule: _Rule) -> str:
    if len(text) > _LONGEST:
        raise RefusedProgram(f"an expression of {len(text)} characters", f"{_LONGEST} at most")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        large = _measured(tree, rule)
        if large <= _LARGEST:
            return ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, RefusedProgram):
            raise
        raise RefusedProgram(short(text), "an expression that can be parsed") from error
    raise RefusedProgram(short(text), "an expression of ordinary size")


def _measured(node: ast.AST, rule: _Rule) -> int:
    """How large the value of a node may get; refuses what the grammar doesn't hold."""
    large = _arithmetic(node, rule)
    if large is None:
        large = rule(node)
    if large is None:
        raise RefusedProgram(short(ast.unparse(node)), "numbers, symbols, arithmetic and known functions of them")
    return large


def _arithmetic(node: ast.AST, rule: _Rule) -> int | None:
    """What both languages have."""
    match node:
        case ast.Constant(value=bool()):
            return 1
        case ast.Constant(value=int(number)):
            return 1 if number.bit_length() <= 64 else None
        case ast.Constant(value=float()):
            return 1
        case ast.UnaryOp(op=op, operand=inner) if isinstance(op, _SIGNS):
            return _measured(inner, rule)
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            return _power(base, exponent, rule)
        case ast.BinOp(left=left, op=ast.FloorDiv() | ast.Mod(), right=right):
            return _divided((left, right), rule)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _ARITHMETIC):
            return _measured(left, rule) + _measured(right, rule)
        case ast.BoolOp(values=values):
            return sum(_measured(value, rule) for value in values)
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(isinstance(op, _COMPARISONS) for op in ops):
            return sum(_measured(each, rule) for each in (left, *rest))
    return None


def _divided(arguments: Sequence[ast.AST], rule: _Rule) -> int:
    """What is divided is made one polynomial first, and that of a sum's power has more terms than can be written."""
    for inner in (n for each in arguments for n in ast.walk(each)):
        if _raised(inner) is not None and _measured(inner, rule) > _RAISED:
            raise RefusedProgram(short(ast.unparse(inner)), "a power of few terms, where it is divided")
        if math.prod(_measured(each, rule) for each in _factors(inner)) > _MULTIPLIED:
            raise RefusedProgram(short(ast.unparse(inner)), "a product of few terms, where it is divided")
    return 1 + math.prod(_measured(each, rule) for each in arguments)


def _factors(node: ast.AST) -> list[ast.expr]:
    """What a product is of; nothing where a node is none."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return [left, right]
        case ast.Call(func=ast.Name(id="Mul"), args=factors):
            return factors
    return []


def _raised(node: ast.AST) -> ast.AST | None:
    """What a power is of, or None where a node is none."""
    match node:
        case ast.BinOp(left=base, op=ast.Pow()):
            return base
        case ast.Call(func=ast.Name(id=name), args=[base, _]) if name in _POWERS:
            return base
    return None


def _power(base: ast.AST, exponent: ast.AST, rule: _Rule) -> int:
    """Only a small number may be an exponent: sympy works out `9**9**9` when it reads it."""
    _measured(exponent, rule)
    return _measured(base, rule) * max(1, _exponent(exponent))


def _exponent(node: ast.AST) -> int:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _exponent(inner)
        case ast.Call(func=ast.Name(id="Integer"), args=[inner], keywords=[]):
            return _exponent(inner)
        case ast.Call(func=ast.Name(id="Rational"), args=[above, _], keywords=[]):
            return _exponent(above)
        case ast.BinOp(left=above, op=ast.Div(), right=ast.Constant(value=int())):
            return _exponent(above)
        case ast.Constant(value=int() | float() as number) if abs(number) <= _STEEPEST:
            return int(abs(number)) + 1
    raise RefusedProgram(f"exponent {short(ast.unparse(node))}", f"a number of {_STEEPEST} at most")


def _of_symbols(node: ast.AST) -> int | None:
    match node:
        case ast.Name(id=name) if _SYMBOL.fullmatch(name):
            return 1
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name))], keywords=assumed):
            plain = all(k.arg in _ASSUMED and _is(k.value, bool) for k in assumed)
            return 1 if plain and _SYMBOL.fullmatch(name) else None
        case ast.Call(func=ast.Name(id="Float"), args=[ast.Constant(value=str(number))], keywords=digits):
            plain = all(k.arg in ("precision", "dps") and _is(k.value, int) for k in digits)
            return 1 if plain and _NUMBER.fullmatch(number) else None
        case ast.Call(func=ast.Name(id=name), args=[base, exponent], keywords=[]) if name in _POWERS | _SHIFTS:
            return _power(base, exponent, _of_symbols)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _DIVIDED:
            return _divided(arguments, _of_symbols)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return 1 + sum(_measured(each, _of_symbols) for each in arguments)
        case ast.Tuple(elts=parts):  # of a Piecewise
            return sum(_measured(each, _of_symbols) for each in parts)
    return None


def _is(node: ast.AST, kind: type) -> bool:
    """Whether a node is a constant of a kind, and no large number."""
    value = node.value if isinstance(node, ast.Constant) else None
    return type(value) is kind and isinstance(value, int) and abs(value) <= 256


def _of_inputs(node: ast.AST) -> int | None:
    match node:
        case ast.Attribute(value=ast.Name(id="math"), attr="inf" | "nan"):
            return 1
        case ast.Subscript(value=inner, slice=ast.Constant(value=int())):
            return _input(inner)
        case ast.Subscript():
            return _input(node)
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=[], keywords=[]) if name in _READ_OFF:
            return _input(inner)
        case ast.Call(func=function, args=arguments, keywords=[]) if ast.unparse(function) in _CALLED:
            if ast.unparse(function) == "math.pow":
                return _power(arguments[0], arguments[1], _of_inputs) if len(arguments) == 2 else None
            return 1 + sum(_measured(each, _of_inputs) for each in arguments)
    return None


def _input(node: ast.AST) -> int | None:
    """An input by its name, a part of it, or what was read off it."""
    match node:
        case ast.Subscript(value=ast.Name(id="L"), slice=ast.Constant(value=str(name))) if name.isidentifier():
            return 1
        case ast.Subscript(value=inner, slice=ast.Constant(value=str(name))) if name.isidentifier():
            return _input(inner)
        case ast.Subscript(value=inner, slice=ast.Constant(value=int())):
            return _input(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=[], keywords=[]) if name in _READ_OFF:
            return _input(inner)
    return None
