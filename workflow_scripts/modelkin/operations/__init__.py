"""What a study costs and whether it is whole: stages, plan, run summary, verification, bundles."""
