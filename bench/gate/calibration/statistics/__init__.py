"""What the statistics claim, tried on real networks under many seeds (`make calibrate-statistics`).

Collected in CSV files and sums of features, so that collecting can be stopped, continued and dealt to processes;
`docs/statistics.md` gets its tables from them alone.
"""
