"""A region that refuses requests behind this program's own policy is called what it is."""

import pytest


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (["--status", "429"], ("429", "give East US more capacity: each attempt is throttled")),
        (["--status", "500"], ("500", "look at the health of East US")),
    ],
)
@pytest.mark.parametrize("instances", ["1", "2"])
def test_a_region_that_refuses_is_degraded_with_its_own_next_step(
    deployed, fault, words, instances
):
    with deployed.serving("--gateway-instances", instances):
        made = deployed.local_azure("fault", "foundry2", *fault)
        assert made.returncode == 0, made.stderr
        outputs = deployed.local_azure("output", "--stack", "dev", "--show-secrets").stdout
        done = deployed.run("probes/distribution.py", "--outputs", "-", text=outputs)
    verdict = done.stdout.splitlines()[-1]
    assert done.returncode == 1, done.stdout + done.stderr
    assert "East US is degraded: it gave none of 14 answers where 33.3 % is expected" in verdict
    assert all(each in verdict for each in words)
    assert "gave none of" not in verdict.replace("it gave none of", "")
