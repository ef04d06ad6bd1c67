"""Architectures of public checkpoints, under the names and shapes that their files have. One file each, no weights.

They are factories for ``[[workload]]`` tables, such as ``factory = "bench.workloads.public.biggan:Generator"``.
`docs/bring-your-own-gan.md` has a table for each. Written anew from the papers; only names and shapes of tensors are
those of the public code.
"""
