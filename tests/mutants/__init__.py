"""Would the tests notice? Seeded changes to the code that numbers and verdicts come from (`make mutants`).

`changes` finds what can be changed in a file, `rooms` says in which files and by which tests it should be noticed,
`trial` tries one change in a copy of the tree, `__main__` draws the sample and keeps the results.
"""
