"""Sixteen 16-bit floats (IEEE 754 binary16) to float32 and back: by the processor's instructions
where it has them, else by integer arithmetic with the same results. Left to itself, the compiler
would call functions of a library that is not there.
"""

from typing import Any

from llvmlite import ir

LANES = 16
FLOATS = ir.VectorType(ir.FloatType(), LANES)
HALVES = ir.VectorType(ir.HalfType(), LANES)
_SHORTS = ir.VectorType(ir.IntType(16), LANES)
_WORDS = ir.VectorType(ir.IntType(32), LANES)
NEWER = ("x86-64-v3", "x86-64-v4")  # whose names imply the instructions


def has_instructions(context: Any) -> bool:
    """Whether the processor that is compiled for converts 16-bit floats."""
    triple, processor, features = context.codegen().magic_tuple()
    if triple.startswith(("aarch64", "arm64")):
        return True  # all of them do
    return "+f16c" in features.split(",") or processor in NEWER


def widen(context: Any, builder: Any, halves: Any) -> Any:
    """The float32 of 16-bit floats; exact."""
    if has_instructions(context):
        return builder.fpext(halves, FLOATS)
    bits = builder.zext(builder.bitcast(halves, _SHORTS), _WORDS)
    sign = builder.shl(builder.and_(bits, _words(0x8000)), _words(16))
    # exponent and fraction, where those of a float32 are, and then 2^112 for the other bias
    rest = builder.shl(builder.and_(bits, _words(0x7FFF)), _words(13))
    scale = ir.Constant(FLOATS, [ir.Constant(ir.FloatType(), 2.0**112)] * LANES)
    number = builder.bitcast(builder.fmul(builder.bitcast(rest, FLOATS), scale), _WORDS)
    special = builder.icmp_unsigned(">=", rest, _words(0x0F800000))  # infinity and NaN
    number = builder.select(special, builder.or_(rest, _words(0x7F800000)), number)
    return builder.bitcast(builder.or_(number, sign), FLOATS)


def narrow(context: Any, builder: Any, floats: Any) -> Any:
    """16-bit floats of float32, rounded to the nearest, and to even between two."""
    if has_instructions(context):
        return builder.fptrunc(floats, HALVES)
    bits = builder.bitcast(floats, _WORDS)
    sign = builder.lshr(builder.and_(bits, _words(0x80000000)), _words(16))
    rest = builder.and_(bits, _words(0x7FFFFFFF))
    # the other bias, and just under half a step; one more if the step below is odd
    odd = builder.and_(builder.lshr(rest, _words(13)), _words(1))
    shifted = builder.add(builder.add(rest, _words((15 - 127 << 23) + 0xFFF & 0xFFFFFFFF)), odd)
    normal = builder.lshr(shifted, _words(13))
    # below the smallest normal number the sum with 0.5 has the right step
    half = ir.Constant(FLOATS, [ir.Constant(ir.FloatType(), 0.5)] * LANES)
    tiny = builder.bitcast(builder.fadd(builder.bitcast(rest, FLOATS), half), _WORDS)
    tiny = builder.sub(tiny, _words(0x3F000000))
    is_nan = builder.icmp_unsigned(">", rest, _words(0x7F800000))
    special = builder.select(is_nan, _words(0x7E00), _words(0x7C00))
    is_tiny = builder.icmp_unsigned("<", rest, _words(0x38800000))
    is_special = builder.icmp_unsigned(">=", rest, _words(0x47800000))
    number = builder.select(is_tiny, tiny, builder.select(is_special, special, normal))
    return builder.bitcast(builder.trunc(builder.or_(number, sign), _SHORTS), HALVES)


def _words(number: int) -> Any:
    return ir.Constant(_WORDS, [ir.Constant(ir.IntType(32), number)] * LANES)
