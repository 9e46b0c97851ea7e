"""Statements that no policy of a backend pool needs: who may call, how often, what is counted.

They are here because policies have them beside the pool's; how a pool is chosen, called and tried
again is read without them.
"""

from collections.abc import Mapping
from typing import Final

from local_azure.gateway.statements.more.access import ACCESS
from local_azure.gateway.statements.more.caching import CACHING
from local_azure.gateway.statements.more.cross_origin import CROSS_ORIGIN
from local_azure.gateway.statements.more.limiting import LIMITING
from local_azure.gateway.statements.more.passed_over import PASSED_OVER
from local_azure.gateway.statements.statement import Statement

MORE: Final[Mapping[str, Statement]] = {
    **LIMITING,
    **ACCESS,
    **CACHING,
    **CROSS_ORIGIN,
    **PASSED_OVER,
}
