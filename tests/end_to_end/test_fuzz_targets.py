import random

import pytest
from fuzz import run
from fuzz_targets import TARGETS


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_that_the_product_reads_breaks_it(target):
    run(target, seed=random.randrange(2**32), cases=200)
