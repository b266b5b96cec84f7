"""what a person types, and what is answered

It asks the other rooms, and starts Snakemake as a process; it computes nothing of a study and never imports
Snakemake, whose own commands do the same.
"""
