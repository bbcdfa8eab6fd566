"""`pipeline.yaml` as frozen types: the only reader of YAML, naming every mistake where it stands."""
