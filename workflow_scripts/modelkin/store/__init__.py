"""How artifacts are kept: manifests, arrays, tables, resumable parts, paths and modification times."""
