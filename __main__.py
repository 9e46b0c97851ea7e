"""Azure OpenAI in several regions behind one API Management endpoint, traffic spread evenly."""

import pulumi

from components import regions
from components.load_balanced_openai import LoadBalancedOpenAI
from components.mistakes import SettingsError
from components.settings import load

try:
    openai = LoadBalancedOpenAI("openai", load(pulumi.Config(), regions.of_subscription))
except SettingsError as error:
    raise pulumi.RunError(str(error)) from None  # a mistake in it earns no stack trace

for output, value in openai.stack_outputs.items():
    pulumi.export(output, value)
