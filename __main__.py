"""Azure OpenAI in several regions behind one API Management endpoint, traffic spread evenly."""

import pulumi

from components import regions
from components.existing import look_up
from components.load_balanced_openai import LoadBalancedOpenAI
from components.settings import SettingsError, load

try:
    settings = load(pulumi.Config(), regions.of_subscription)
    existing = look_up(settings)
except SettingsError as error:
    raise pulumi.RunError(str(error)) from None  # a mistake in it earns no stack trace

# Visible in every preview: an unequal pool is a warning, never a surprise.
report = pulumi.log.info if settings.routing == "round-robin" else pulumi.log.warn
report(f"Expected traffic: {settings.forecast}{settings.shares_of}")
for warning in settings.warnings:
    pulumi.log.warn(warning)

openai = LoadBalancedOpenAI("openai", settings=settings, existing=existing)

for output, value in openai.stack_outputs.items():
    pulumi.export(output, value)
