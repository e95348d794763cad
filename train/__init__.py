"""The programs: experiments with a configuration, a run directory and a result."""
