"""Libraries of .NET that policies use, and no policy of a backend pool needs.

A pool's policy reads requests, answers, variables, text, numbers, JSON and how long it took.
"""

from typing import Final

from local_azure.gateway.expressions.more.coding import CODING
from local_azure.gateway.expressions.more.collections import COLLECTIONS
from local_azure.gateway.expressions.more.moments import MOMENTS
from local_azure.gateway.expressions.more.tokens import TOKENS
from local_azure.gateway.expressions.tables import Library

MORE: Final[tuple[Library, ...]] = (COLLECTIONS, MOMENTS, TOKENS, CODING)
