from hypothesis import settings

# A loaded machine is slow, not wrong.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
