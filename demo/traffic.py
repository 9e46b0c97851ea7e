"""Calls as an application sends them: `python -m demo.traffic 60`; nobody looks at who answers."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from probes import sources
from probes.exit_codes import InputError


def main(count: int) -> int:
    """Send chat completions to the stack that there is; print how many were answered."""
    try:
        outputs = sources.find(None, None, reads_pool=False).outputs
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    question = {"model": outputs.deployment, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"api-key": str(outputs.subscription_key)}
    url = f"{outputs.inference_url}/openai/v1/chat/completions"
    with (
        httpx.Client(trust_env=False, headers=headers) as client,
        ThreadPoolExecutor(20) as at_once,
    ):
        answers = at_once.map(lambda _: client.post(url, json=question).status_code, range(count))
        for status, number in sorted(Counter(answers).items()):
            print(f"{number} calls were answered with {status}")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
