"""Where the documented performance figures come from: `python -m benchmarks`.

Each case measures the project against a baseline that does the same work with as little as it
takes. Both run in fresh processes, in turn, on the same data. `plan` lists the cases, `subjects`
holds what is measured.
"""
