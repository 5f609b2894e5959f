"""What holds for the tests of all packages: none of them measures time, so hypothesis does not either."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
