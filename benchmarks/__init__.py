"""What things cost, measured side by side; each module is a program, see docs/benchmarks.md."""
