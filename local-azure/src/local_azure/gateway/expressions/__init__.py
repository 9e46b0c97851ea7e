"""Policy expressions: a subset of C#, checked and compiled once to Python closures.

`members`, `statics` and `queries` are what an expression may name, with the libraries in `more`,
which no policy of a backend pool needs; `syntax` reads it, `compiler` and `blocks` check types and
make the closure, the rest is what that computes with. An unknown name is refused when the policy is
deployed, and no expression can reach a Python object: names are looked up in tables alone.
"""

from local_azure.gateway.expressions.blocks import compile_block
from local_azure.gateway.expressions.bounds import EvaluationError
from local_azure.gateway.expressions.compiler import compile_expression
from local_azure.gateway.expressions.operators import Expression
from local_azure.gateway.expressions.syntax import ExpressionError
from local_azure.gateway.expressions.values import to_string

__all__ = [
    "EvaluationError",
    "Expression",
    "ExpressionError",
    "compile_block",
    "compile_expression",
    "to_string",
]
