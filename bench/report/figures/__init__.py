"""The figures, each from tables alone. Only this folder (and the style that it shares) imports matplotlib and seaborn:
it is what drawing processes import, the process that writes the report does not.
"""
