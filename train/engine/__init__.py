"""What every experiment has: options, run directory, callbacks, distribution, plots."""
