"""Sixteen float32 numbers as one value, for the few loops that a compiler does not vectorize: LLVM
gives up if more than a handful of arrays might overlap. Numbers are stored as float32, or as 16-bit
floats (IEEE 754 binary16, in uint16 arrays); sums are always float32.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import register_model

from matinee.kernels.half_precision import FLOATS as _FLOATS
from matinee.kernels.half_precision import HALVES as _HALVES
from matinee.kernels.half_precision import LANES as LANES
from matinee.kernels.half_precision import narrow, widen

intrinsic: Any = numba_intrinsic  # to a type checker, what is called here is not what is defined
LINE = 64  # bytes of a cache line
_I32, _I64 = ir.IntType(32), ir.IntType(64)


class LanesType(types.Type):
    """The compiler's type of a value of sixteen numbers."""


LANES_TYPE = LanesType("lanes")


@register_model(LanesType)
class _LanesModel(PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _FLOATS)


def _address(
    context: Any, builder: Any, array_type: Any, array: Any, index: Any
) -> tuple[Any, bool]:
    """A pointer to sixteen numbers, and whether they have 16 bits."""
    unpacked = context.make_array(array_type)(context, builder, array)
    pointer = cgutils.get_item_pointer(context, builder, array_type, unpacked, index)
    halves = array_type.dtype == types.uint16
    return builder.bitcast(pointer, (_HALVES if halves else _FLOATS).as_pointer()), halves


@intrinsic
def load(typing, array, row, column):
    """array[row, column : column + 16] of an array of float32, or of 16-bit floats."""

    def code(context, builder, signature, arguments):
        pointer, halves = _address(context, builder, signature.args[0], arguments[0], arguments[1:])
        lanes = builder.load(pointer, align=2 if halves else 4)
        return widen(context, builder, lanes) if halves else lanes

    return LANES_TYPE(array, types.intp, types.intp), code


@intrinsic
def store(typing, lanes, array, row, column):
    """array[row, column : column + 16] = lanes, rounded to nearest if it holds 16-bit floats."""

    def code(context, builder, signature, arguments):
        pointer, halves = _address(context, builder, signature.args[1], arguments[1], arguments[2:])
        value = narrow(context, builder, arguments[0]) if halves else arguments[0]
        builder.store(value, pointer, align=2 if halves else 4)
        return context.get_dummy_value()

    return types.void(LANES_TYPE, array, types.intp, types.intp), code


@intrinsic
def splat(typing, number):
    """The same float32 sixteen times."""

    def code(context, builder, signature, arguments):
        nothing = ir.Constant(_FLOATS, ir.Undefined)
        one = builder.insert_element(nothing, arguments[0], ir.Constant(_I32, 0))
        order = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        return builder.shuffle_vector(one, nothing, order)

    return LANES_TYPE(types.float32), code


@intrinsic
def fma(typing, a, b, c):
    """a * b + c, rounded once."""

    def code(context, builder, signature, arguments):
        shape = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        function = cgutils.get_or_insert_function(builder.module, shape, "llvm.fma.v16f32")
        return builder.call(function, arguments)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE, LANES_TYPE), code


@intrinsic
def total(typing, lanes):
    """The sum of the sixteen, as float32."""

    def code(context, builder, signature, arguments):
        shape = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _FLOATS])
        name = "llvm.vector.reduce.fadd.v16f32"
        function = cgutils.get_or_insert_function(builder.module, shape, name)
        zero = ir.Constant(ir.FloatType(), 0.0)
        return builder.call(function, [zero, arguments[0]], fastmath=["reassoc"])

    return types.float32(LANES_TYPE), code


@intrinsic
def at_least(typing, a, b):
    """Where a >= b: bit l of an int64 for number l, 0 if either is NaN."""

    def code(context, builder, signature, arguments):
        bits = builder.bitcast(builder.fcmp_ordered(">=", *arguments), ir.IntType(LANES))
        return builder.zext(bits, _I64)

    return types.int64(LANES_TYPE, LANES_TYPE), code


@intrinsic
def prefetch(typing, array, row):
    """Start loading array[row] into the cache, for no processor guesses which row is next."""

    def code(context, builder, signature, arguments):
        array_type = signature.args[0]
        unpacked = context.make_array(array_type)(context, builder, arguments[0])
        zero = ir.Constant(_I64, 0)
        index = [arguments[1], zero]
        pointer = cgutils.get_item_pointer(context, builder, array_type, unpacked, index)
        bytes_from = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        size = builder.mul(cgutils.unpack_tuple(builder, unpacked.shape)[1], unpacked.itemsize)
        shape = ir.FunctionType(ir.VoidType(), [bytes_from.type, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0")
        step = ir.Constant(_I64, LINE)
        with cgutils.for_range_slice(builder, zero, size, step) as (offset, _):
            # arguments: for reading, into all caches, data
            builder.call(function, [builder.gep(bytes_from, [offset]), _I32(0), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), code
